-- Hosts of execution environments, as they reported themselves on the request path. What a host cannot know is null.
create table nodes (
    node_id             text        not null,
    hostname            text        not null,
    role                text        not null,                -- what runs there: api, worker, beat
    ip_address          text,
    port                integer,
    first_seen          timestamptz not null,
    last_seen           timestamptz not null,
    response_time_ms    double precision,
    cpu_usage           double precision,                    -- per cent
    memory_usage        double precision,                    -- per cent
    requests_per_minute double precision,
    error_rate          double precision,                    -- 0 to 1
    capacity            integer,                             -- tasks side by side; null where it runs none
    processed           bigint      not null default 0,      -- tasks ended there so far
    constraint nodes_pkey primary key (node_id)
) with (fillfactor = 70);
