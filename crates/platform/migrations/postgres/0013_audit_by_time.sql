-- Lists are read newest first and cut at a time: each index carries the time before the place.
CREATE INDEX audit_log_at ON audit_log (at, seq);
CREATE INDEX audit_log_object_at ON audit_log (object, at, seq);
CREATE INDEX audit_log_actor_at ON audit_log (actor, at, seq);
CREATE INDEX audit_log_action_at ON audit_log (action, at, seq);
DROP INDEX audit_log_object;
DROP INDEX audit_log_actor;
DROP INDEX audit_log_action;
