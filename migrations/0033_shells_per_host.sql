-- 0033 how much runs on a host now. Forward only; additive; safe while the previous Worker serves.
CREATE INDEX shell_commands_running_by_host_id ON shell_commands (host_id) WHERE ended_at IS NULL;
