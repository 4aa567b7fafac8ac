-- Unique keys that say more (docs/adr/0036-debounce-and-throttle.md).

-- A task that waits for submits with its unique key to cease: each puts it off, until then at most.
alter table tasks add column debounce_until timestamptz;

-- The task that a key was last accepted for, and until when no other is.
create table throttles (
    user_id    bigint      not null,
    key        text        not null collate "C",
    task_id    uuid        not null,
    until      timestamptz not null,
    primary key (user_id, key)
);
create index throttles_past on throttles (until);
