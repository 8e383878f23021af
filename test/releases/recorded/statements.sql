INSERT INTO jobs (photo, owner, received_at, promise_by, promise, traceparent, detail_until, state, queued_at, due_at, ended_at, outcome)
  VALUES ('ybqn62sss2kv4j8t0m5d9c7wz', '0123456789abcdef0123456789abcdef', 1, 2, 1, NULL, NULL, 'queued', 1, 0, NULL, NULL) ON CONFLICT (photo) DO NOTHING;
UPDATE jobs SET state = 'claimed', worker = 'w', token = 't', attempts = 1, waited_ms = 1, claimed_at = 1, lease_ms = 1, lease_until = 2, queued_at = NULL, due_at = NULL WHERE photo = 'ybqn62sss2kv4j8t0m5d9c7wz';
INSERT INTO workers (id, slots, service_seconds, seen_at) VALUES ('converter.0', 2, 0.1, 1) ON CONFLICT (id) DO UPDATE SET slots = excluded.slots, seen_at = excluded.seen_at;
INSERT INTO events (photo, owner, state) VALUES ('ybqn62sss2kv4j8t0m5d9c7wz', '0123456789abcdef0123456789abcdef', 'queued');
