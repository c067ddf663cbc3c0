// SPDX-License-Identifier: Apache-2.0
// What the API answers, as far as pages use it. Times are RFC 3339 in UTC.

export interface ProcessState {
  name: string;
  state: "down" | "starting" | "serving" | "stopping";
  pid: number;
  since: string;
  restarts: number;
  last_exit: string;
}

export interface ListenerState {
  name: string;
  address: string;
  protocol: string;
  connections: number;
}

export interface Status {
  name: string;
  version: string;
  config_path: string;
  started: string;
  uptime: number;
  processes: ProcessState[];
  listeners: ListenerState[];
  devices: { total: number; enabled: number; connected: number };
  certificates: { good: number; revoked: number; expired: number; expiring: number };
  connections: number;
  rules: number;
  roles: number;
  events: { first: number; last: number };
  counters: Record<string, number>;
}

export interface Device {
  name: string;
  uuid: string;
  kind: string;
  enabled: boolean;
  note: string;
  groups: string[];
  roles: string[];
  password: boolean;
  certificate_count: number;
  connection_count: number;
  barred: string | null;
  created: string;
  created_by: string;
  changed: string;
}

export interface Certificate {
  fingerprint: string;
  serial: string;
  name: string;
  device: string | null;
  profile: string;
  issuer: string;
  status: string;
  not_before: string;
  not_after: string;
  issued_at: string;
  issued_by: string;
  via: string;
  revoked_at: string | null;
  reason: string | null;
}

export interface Rule {
  id: number;
  effect: "allow" | "deny";
  subject: string;
  actions: string[];
  filter: string;
  priority: number;
  literal: boolean;
  conditions: string;
  learn_until: string | null;
}

export interface Client {
  client_id: string;
  device: string | null;
  address: string;
  listener: string;
  protocol: string;
  tls: string;
  fingerprint: string | null;
  connected: string;
  keep_alive: number;
  subscriptions: number;
  queued: number;
  messages_in: number;
  messages_out: number;
  messages_in_per_minute: number;
  messages_out_per_minute: number;
  bytes_in: number;
  bytes_out: number;
}

export interface DeviceDetail extends Device {
  certificates: Certificate[];
  rules: Rule[];
  clients: Client[];
}

/** What the security check found. */
export interface Finding {
  id: string;
  severity: "critical" | "high" | "medium" | "low";
  what: string;
  fix: string;
  command: string | null;
  page: string | null;
  count: number;
  objects: string[];
  muted: { reason: string; by: string; at: string } | null;
}

export interface SecurityCheck {
  score: number;
  checks: number;
  checked: string;
  open: { critical: number; high: number; medium: number; low: number };
  findings: Finding[];
}

export type Severity = "debug" | "info" | "notice" | "warning" | "error" | "critical";

export interface GatewayEvent {
  seq: number;
  time: string;
  event: string;
  severity: Severity;
  device: string | null;
  actor: string | null;
  client_id: string | null;
  address: string | null;
  listener: string | null;
  reason: string | null;
  detail: Record<string, string | number | boolean | null>;
  acknowledged: { time: string; actor: string; note: string } | null;
}
