-- A range of time reads the granules of that time: the primary key begins with toStartOfHour(start), and ClickHouse derives
-- no range for it from a condition on a DateTime64.
ALTER TABLE segments ADD INDEX IF NOT EXISTS start_range start TYPE minmax GRANULARITY 1;
ALTER TABLE segments MATERIALIZE INDEX start_range;
