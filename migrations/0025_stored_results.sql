-- Results that are too large for a row are objects in S3; here stands under which key. It counts when the task has completed and
-- `result` is null: an attempt notes it before it stores the object, and may vanish in between.
alter table tasks add column result_key text;
