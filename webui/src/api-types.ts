// SPDX-License-Identifier: Apache-2.0
// Made of the description of the API by webui/api-types.mjs (make api-types): do not edit.

export interface Administrator {
  name: string;
  level: "viewer" | "operator" | "admin";
  enabled: boolean;
  totp: boolean;
  sessions: number;
  created: string;
  created_by: string;
  seen: string | null;
}

export interface Authorities {
  authorities: Authority[];
  locked: boolean;
  lists_until: string | null;
  staples_until: string | null;
  rollover: "none" | "next" | "retiring";
  devices_left: number;
  devices_unknown: number;
  server_certificates: Certificate[];
}

export interface Authority {
  name: string;
  generation: number;
  kind: "root" | "issuing" | "cross" | "external";
  subject: string;
  state: "next" | "active" | "retiring" | "retired" | "compromised";
  key: "here" | "away" | "locked";
  fingerprint: string;
  not_before: string;
  not_after: string;
  certificates: number;
  pem: string;
}

export interface Ban {
  source: string;
  kind: "ban" | "login" | "password";
  account: string | null;
  reason: string;
  by: string;
  since: string | null;
  until: string;
  count: number;
  last: string | null;
}

export interface Certificate {
  fingerprint: string;
  serial: string;
  name: string;
  device: string | null;
  profile: string;
  issuer: string | null;
  status: "good" | "expired" | "revoked" | "hold" | "superseded" | "pending";
  not_before: string;
  not_after: string;
  issued_at: string;
  issued_by: string;
  via: string;
  revoked_at: string | null;
  reason: string | null;
}

export interface Changed {
  broker?: "done" | "away";
  sessions_closed?: number;
}

export interface Claim {
  name: string;
  subject: string;
  fingerprint: string;
  not_after: string;
  name_from: "csr" | "cn" | "serial";
  pattern: string;
  approval: boolean;
  quota: number;
  used: number;
  allowed: number;
  profile: string;
  kind: string;
  groups: string[];
  roles: string[];
  created: string;
  created_by: string;
}

export interface Client {
  client_id: string;
  device: string | null;
  address: string;
  listener: string;
  protocol: string;
  tls: string | null;
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

export interface Code {
  id: number;
  name: string | null;
  pattern: string | null;
  device_exists: boolean;
  state: "valid" | "used" | "replaced" | "expired";
  uses: number;
  uses_left: number;
  network: string | null;
  profile: string;
  kind: string;
  note: string;
  groups: string[];
  roles: string[];
  created: string;
  expires: string;
  last_used: string | null;
  created_by: string;
  last_source: string | null;
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
  certificate_end: string | null;
  state: "connected" | "away" | "never" | "barred" | "disabled";
  last_seen: string | null;
  last_address: string | null;
  last_listener: string | null;
  last_protocol: string | null;
  last_tls: string | null;
  connection_count: number;
  barred: string | null;
  version: number;
  created: string;
  created_by: string;
  changed: string;
}

export interface Difference {
  kind: string;
  object: string;
  change: "added" | "changed" | "removed";
  fields: {
    field: string;
    before: unknown;
    after: unknown;
  }[];
}

export interface Event {
  seq: number;
  time: string;
  event: string;
  severity: "debug" | "info" | "notice" | "warning" | "error" | "critical";
  device: string | null;
  actor: string | null;
  client_id: string | null;
  address: string | null;
  listener: string | null;
  reason: string | null;
  detail: Record<string, string | number | boolean | null>;
  acknowledged: {
    time: string;
    actor: string;
    note: string;
  } | null;
}

export interface Held {
  token?: string;
  confirm_within?: number;
  warning?: string;
}

export interface Issued {
  fingerprint: string;
  serial: string;
  not_before: string;
  not_after: string;
  pem: string;
  roots_pem: string;
}

export interface Learning {
  subject: string;
  until: string;
  rule: number;
  created: string;
  created_by: string;
  devices: number;
  topics: number;
}

export interface Members {
  groups: string[];
  roles: string[];
}

export interface Message {
  topic: string;
  qos: number;
  retain: boolean;
  size: number;
  text: string | null;
  hex: string | null;
  cut: boolean;
  hidden: boolean;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  /** the argument that is wrong */
  field?: string;
}

export interface Profile {
  name: string;
  lifetime: number;
  grace: number;
  overlap: number;
  note: string;
}

export interface Reason {
  rule: number;
  part: "decides" | "matches" | "meets" | "condition" | "differs";
  reached: boolean;
  level: number | null;
  text: string;
  because: string;
}

export interface Request {
  id: number;
  name: string;
  profile: string;
  via: string;
  source: string;
  claim: string | null;
  key: string;
  words: string;
  device_exists: boolean;
  state: "pending" | "approved" | "denied" | "issued" | "expired";
  created: string;
  expires: string;
  decided: string | null;
  decided_by: string | null;
  why: string | null;
  groups: string[];
  roles: string[];
}

export interface Revision {
  id: number;
  time: string;
  actor: string;
  source: string;
  operation: string;
  target: string;
  objects: number;
  changes: {
    kind: string;
    object: string;
    change: "added" | "changed" | "removed";
  }[];
}

export interface Role {
  name: string;
  note: string;
  device_count: number;
  rule_count: number;
  version: number;
  created: string;
  created_by: string;
}

export interface Rule {
  id: number;
  effect: "allow" | "deny";
  subject: string;
  actions: ("publish" | "subscribe" | "receive")[];
  filter: string;
  priority: number;
  literal: boolean;
  qos: string | null;
  retain: boolean | null;
  networks: string[];
  conditions: string;
  created: string;
  created_by: string;
  learn_until: string | null;
}

export interface Session {
  name: string;
  level: "viewer" | "operator" | "admin";
  totp: boolean;
  expires: string;
  page: string;
}

export interface Setting {
  key: string;
  section: string;
  value: string;
  origin: string;
  source: string;
  text: string;
  file_only: boolean;
  restart: boolean;
}

export interface Subscription {
  filter: string;
  qos: number;
  no_local: boolean;
  retain_as_published: boolean;
  identifier: number;
  active: boolean;
  partial: boolean;
}

export interface Token {
  name: string;
  level: "viewer" | "operator" | "admin";
  operations: string[];
  created: string;
  created_by: string;
  expires: string;
  expired: boolean;
  seen: string | null;
}

/** What the operations answer, by name. */
export interface Answers {
  /** Adds a rule */
  "acl.add": {
    id: number;
    effect: "allow" | "deny";
    subject: string;
    actions: ("publish" | "subscribe" | "receive")[];
    filter: string;
    priority: number;
    literal: boolean;
    qos: string | null;
    retain: boolean | null;
    networks: string[];
    conditions: string;
    created: string;
    created_by: string;
    learn_until: string | null;
    hint?: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Adds and removes rules, all or none */
  "acl.apply": {
    added: Rule[];
    removed: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Whether a device may do something, and why */
  "acl.check": {
    device: string;
    action: "publish" | "subscribe" | "receive";
    topic: string;
    verdict: "allowed" | "denied" | "allowed in part";
    barred: string | null;
    rule: number | null;
    variables: {
      clientid: string;
      device: string;
      cn: string | null;
      san: string[];
      group: string[];
      address: string | null;
    };
    reasons: Reason[];
  };
  /** Rules in the order of evaluation */
  "acl.list": {
    items: Rule[];
    next: null;
  };
  /** What would be decided otherwise, of what was done and refused lately */
  "acl.preview": {
    items: {
      device: string;
      action: "publish" | "subscribe";
      topic: string;
      times: number;
      last: string;
      before: "allowed" | "denied" | "allowed in part";
      after: "allowed" | "denied" | "allowed in part";
      rule_before: number | null;
      rule_after: number | null;
    }[];
    checked: number;
    left_out: number;
  };
  /** Removes a rule */
  "acl.remove": {
    id: number;
    effect: "allow" | "deny";
    subject: string;
    actions: ("publish" | "subscribe" | "receive")[];
    filter: string;
    priority: number;
    literal: boolean;
    qos: string | null;
    retain: boolean | null;
    networks: string[];
    conditions: string;
    created: string;
    created_by: string;
    learn_until: string | null;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Adds an administrator */
  "administrator.add": {
    name: string;
    level: "viewer" | "operator" | "admin";
    enabled: boolean;
    totp: boolean;
    sessions: number;
    created: string;
    created_by: string;
    seen: string | null;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Administrators */
  "administrator.list": {
    items: Administrator[];
    next: null;
  };
  /** Removes an administrator, and the tokens that he made */
  "administrator.remove": {
    name: string;
    tokens_removed: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Changes an administrator; his tokens do not stay above him */
  "administrator.set": {
    name: string;
    level: "viewer" | "operator" | "admin";
    enabled: boolean;
    totp: boolean;
    sessions: number;
    created: string;
    created_by: string;
    seen: string | null;
    tokens_lowered: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Who changed what, who tried to; the newest first */
  "audit.list": {
    items: {
      id: number;
      time: string;
      actor: string;
      source: string;
      operation: string;
      target: string;
      outcome: string;
      why: string;
      changes: {
        kind: string;
        object: string;
      }[];
    }[];
    next: string | null;
  };
  /** Whether a backup can be made, and the last one */
  "backup.show": {
    ready: boolean;
    why: string | null;
    last: string | null;
    last_actor: string | null;
  };
  /** Bans a network until a time */
  "ban.add": {
    network: string;
    until: string;
    sessions_closed: number;
    broker: "done" | "away";
  };
  /** Who may not come: networks that administrators banned, and addresses that have to wait after wrong passwords */
  "ban.list": {
    items: Ban[];
    next: string | null;
  };
  /** Ends a ban, and the waiting after wrong passwords */
  "ban.remove": {
    network: string;
    removed: number;
  };
  /** Compares the journal of issued certificates with the registry, part by part */
  "ca.check": {
    checked: number;
    items: {
      fingerprint: string;
      name: string;
      problem: string;
    }[];
    next: string | null;
  };
  /** Gives an authority up: its key is in the wrong hands */
  "ca.compromise": {
    authorities: Authority[];
    locked: boolean;
    lists_until: string | null;
    staples_until: string | null;
    rollover: "none" | "next" | "retiring";
    devices_left: number;
    devices_unknown: number;
    server_certificates: Certificate[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** A copy of the registry for a backup */
  "ca.copy": {
    path: string;
  };
  /** Cross certificates */
  "ca.cross": {
    authorities: Authority[];
    locked: boolean;
    lists_until: string | null;
    staples_until: string | null;
    rollover: "none" | "next" | "retiring";
    devices_left: number;
    devices_unknown: number;
    server_certificates: Certificate[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** A signing request for an authority elsewhere */
  "ca.csr": {
    authorities: Authority[];
    locked: boolean;
    lists_until: string | null;
    staples_until: string | null;
    rollover: "none" | "next" | "retiring";
    devices_left: number;
    devices_unknown: number;
    server_certificates: Certificate[];
    csr: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Removes the root's key from this machine */
  "ca.forget-root": {
    authorities: Authority[];
    locked: boolean;
    lists_until: string | null;
    staples_until: string | null;
    rollover: "none" | "next" | "retiring";
    devices_left: number;
    devices_unknown: number;
    server_certificates: Certificate[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** The certificate for that request */
  "ca.import": {
    authorities: Authority[];
    locked: boolean;
    lists_until: string | null;
    staples_until: string | null;
    rollover: "none" | "next" | "retiring";
    devices_left: number;
    devices_unknown: number;
    server_certificates: Certificate[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Locks the issuing key by a passphrase */
  "ca.lock": {
    authorities: Authority[];
    locked: boolean;
    lists_until: string | null;
    staples_until: string | null;
    rollover: "none" | "next" | "retiring";
    devices_left: number;
    devices_unknown: number;
    server_certificates: Certificate[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** One step of the change to a new authority */
  "ca.rollover": {
    authorities: Authority[];
    locked: boolean;
    lists_until: string | null;
    staples_until: string | null;
    rollover: "none" | "next" | "retiring";
    devices_left: number;
    devices_unknown: number;
    server_certificates: Certificate[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** The certificate authority */
  "ca.show": {
    authorities: Authority[];
    locked: boolean;
    lists_until: string | null;
    staples_until: string | null;
    rollover: "none" | "next" | "retiring";
    devices_left: number;
    devices_unknown: number;
    server_certificates: Certificate[];
  };
  /** Unlocks the issuing key */
  "ca.unlock": {
    authorities: Authority[];
    locked: boolean;
    lists_until: string | null;
    staples_until: string | null;
    rollover: "none" | "next" | "retiring";
    devices_left: number;
    devices_unknown: number;
    server_certificates: Certificate[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Issues a certificate for the key of a request */
  "cert.add": {
    device: string;
    certificate: Issued;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Revokes a certificate until it is released */
  "cert.hold": {
    fingerprint: string;
    serial: string;
    name: string;
    device: string | null;
    profile: string;
    issuer: string | null;
    status: "good" | "expired" | "revoked" | "hold" | "superseded" | "pending";
    not_before: string;
    not_after: string;
    issued_at: string;
    issued_by: string;
    via: string;
    revoked_at: string | null;
    reason: string | null;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Lets a certificate of another authority open a device */
  "cert.import": {
    fingerprint: string;
    serial: string;
    name: string;
    device: string | null;
    profile: string;
    issuer: string | null;
    status: "good" | "expired" | "revoked" | "hold" | "superseded" | "pending";
    not_before: string;
    not_after: string;
    issued_at: string;
    issued_by: string;
    via: string;
    revoked_at: string | null;
    reason: string | null;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Certificates in the order of issue */
  "cert.list": {
    items: Certificate[];
    next: string | null;
  };
  /** Takes a hold back */
  "cert.release": {
    fingerprint: string;
    serial: string;
    name: string;
    device: string | null;
    profile: string;
    issuer: string | null;
    status: "good" | "expired" | "revoked" | "hold" | "superseded" | "pending";
    not_before: string;
    not_after: string;
    issued_at: string;
    issued_by: string;
    via: string;
    revoked_at: string | null;
    reason: string | null;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Revokes certificates for good; their sessions are closed */
  "cert.revoke": {
    items: Certificate[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** A certificate */
  "cert.show": {
    fingerprint: string;
    serial: string;
    name: string;
    device: string | null;
    profile: string;
    issuer: string | null;
    status: "good" | "expired" | "revoked" | "hold" | "superseded" | "pending";
    not_before: string;
    not_after: string;
    issued_at: string;
    issued_by: string;
    via: string;
    revoked_at: string | null;
    reason: string | null;
    pem: string;
  };
  /** Lets certificates of another authority enrol devices */
  "claim.add": {
    name: string;
    subject: string;
    fingerprint: string;
    not_after: string;
    name_from: "csr" | "cn" | "serial";
    pattern: string;
    approval: boolean;
    quota: number;
    used: number;
    allowed: number;
    profile: string;
    kind: string;
    groups: string[];
    roles: string[];
    created: string;
    created_by: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Adds names to the allow-list of a claim */
  "claim.allow": {
    name: string;
    allowed: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Claims */
  "claim.list": {
    items: Claim[];
    next: null;
  };
  /** Removes a claim */
  "claim.remove": {
    name: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Connections in the order of connecting */
  "client.list": {
    items: Client[];
    next: string | null;
  };
  /** Closes a connection */
  "client.remove": {
    client_id: string;
    sessions_closed: number;
  };
  /** A session, and its connection when it has one */
  "client.show": {
    client_id: string;
    device?: string | null;
    address?: string;
    listener?: string;
    protocol?: string;
    tls?: string | null;
    fingerprint?: string | null;
    connected?: string;
    keep_alive?: number;
    subscriptions: number;
    messages_in?: number;
    messages_out?: number;
    messages_in_per_minute?: number;
    messages_out_per_minute?: number;
    bytes_in?: number;
    bytes_out?: number;
    is_connected: boolean;
    session_expiry: number | null;
    queued_now: number;
    queued_bytes: number;
    in_flight: number;
    received: number;
    dropped: number;
    will: boolean;
    durability: string;
    transport?: string;
    tls_version?: string | null;
    cipher?: string | null;
    group?: string | null;
    alpn?: string | null;
    resumed?: boolean;
    receive_maximum?: number;
    packet_max?: number | null;
    unsent_bytes?: number;
    heard?: string;
    subscription_list: Subscription[];
    subscriptions_left_out: number;
  };
  /** An enrolment code, told this once */
  "code.add": {
    id: number;
    name: string | null;
    pattern: string | null;
    device_exists: boolean;
    state: "valid" | "used" | "replaced" | "expired";
    uses: number;
    uses_left: number;
    network: string | null;
    profile: string;
    kind: string;
    note: string;
    groups: string[];
    roles: string[];
    created: string;
    expires: string;
    last_used: string | null;
    created_by: string;
    last_source: string | null;
    code: string;
    root_fingerprint: string;
    roots_pem: string;
    replaced: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Enrolment codes, the newest first */
  "code.list": {
    items: Code[];
    next: string | null;
  };
  /** Removes an enrolment code */
  "code.remove": {
    id: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Keeps a change of settings that waits to be confirmed, or undoes it */
  "config.confirm": {
    kept: boolean;
  };
  /** Settings in the order of the manual */
  "config.list": {
    items: Setting[];
    held: {
      token: string;
      seconds: number;
      keys: string[];
    } | null;
    next: null;
  };
  /** Reads the configuration files again, as systemctl reload does */
  "config.reload": {
    changed: string[];
    needs_restart: string[];
  };
  /** Changes a setting; of a section that is gone only key and value */
  "config.set": {
    key: string;
    section?: string;
    value: string;
    origin?: string;
    source?: string;
    text?: string;
    file_only?: boolean;
    restart?: boolean;
    token?: string;
    confirm_within?: number;
    warning?: string;
  };
  /** A setting */
  "config.show": {
    key: string;
    section: string;
    value: string;
    origin: string;
    source: string;
    text: string;
    file_only: boolean;
    restart: boolean;
  };
  /** Revocation lists */
  "crl.show": {
    items: {
      authority: string;
      name: string;
      number: number;
      entries: number;
      this_update: string;
      next_update: string;
      pem: string;
    }[];
  };
  /** Adds a device; with a csr also its certificate */
  "device.add": {
    name: string;
    uuid: string;
    kind: string;
    enabled: boolean;
    note: string;
    groups: string[];
    roles: string[];
    password: boolean;
    certificate_count: number;
    certificate_end: string | null;
    state: "connected" | "away" | "never" | "barred" | "disabled";
    last_seen: string | null;
    last_address: string | null;
    last_listener: string | null;
    last_protocol: string | null;
    last_tls: string | null;
    connection_count: number;
    barred: string | null;
    version: number;
    created: string;
    created_by: string;
    changed: string;
    certificate?: Issued;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Devices */
  "device.list": {
    items: Device[];
    next: string | null;
    total?: number | null;
  };
  /** Removes a device and revokes its certificates */
  "device.remove": {
    name: string;
    certificates_revoked: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Changes a device: what is not given stays */
  "device.set": {
    name: string;
    uuid: string;
    kind: string;
    enabled: boolean;
    note: string;
    groups: string[];
    roles: string[];
    password: boolean;
    certificate_count: number;
    certificate_end: string | null;
    state: "connected" | "away" | "never" | "barred" | "disabled";
    last_seen: string | null;
    last_address: string | null;
    last_listener: string | null;
    last_protocol: string | null;
    last_tls: string | null;
    connection_count: number;
    barred: string | null;
    version: number;
    created: string;
    created_by: string;
    changed: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** A device, its certificates, rules and connections */
  "device.show": {
    name: string;
    uuid: string;
    kind: string;
    enabled: boolean;
    note: string;
    groups: string[];
    roles: string[];
    password: boolean;
    certificate_count: number;
    certificate_end: string | null;
    state: "connected" | "away" | "never" | "barred" | "disabled";
    last_seen: string | null;
    last_address: string | null;
    last_listener: string | null;
    last_protocol: string | null;
    last_tls: string | null;
    connection_count: number;
    barred: string | null;
    version: number;
    created: string;
    created_by: string;
    changed: string;
    certificates: Certificate[];
    rules: Rule[];
    clients: Client[];
  };
  /** Says that somebody has looked at events */
  "event.acknowledge": {
    events: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Events, the oldest first; with since and wait the answer waits for one */
  "event.list": {
    items: Event[];
    next: number;
    reset: boolean;
  };
  /** Who is in learn mode */
  "learn.list": {
    items: Learning[];
    next: null;
  };
  /** Rules that would allow what was done in learn mode */
  "learn.propose": {
    items: {
      line: string;
      filter: string;
      actions: ("publish" | "subscribe" | "receive")[];
      times: number;
      last: string;
      broad: boolean;
    }[];
    allowed: number;
    until: string | null;
    left_out: number;
  };
  /** What was done in learn mode, by device */
  "learn.show": {
    items: {
      device: string;
      action: "publish" | "subscribe";
      topic: string;
      times: number;
      first: string;
      last: string;
    }[];
    until: string | null;
    left_out: number;
  };
  /** Allows for a time what no rule denies, and notes it */
  "learn.start": {
    subject: string;
    until: string;
    rule: number;
    created: string;
    created_by: string;
    devices: number;
    topics: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Ends a learn mode */
  "learn.stop": {
    subject: string;
    ended: boolean;
    forgotten: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** The limits with their values, and which were reached by whom last */
  "limit.list": {
    items: {
      name: string;
      per: "gateway" | "listener" | "address" | "device" | "session";
      value: number | null;
      refused: number;
      last: string | null;
      who: string | null;
      address: string | null;
    }[];
    next: string | null;
  };
  /** The newest log lines of every process, the oldest first; with since and wait the answer waits for one */
  "log.list": {
    items: {
      seq: number;
      time: string;
      process: string;
      level: "error" | "warning" | "notice" | "info" | "debug";
      text: string;
      left_out: number;
    }[];
    next: number;
  };
  /** Publishes a message */
  "message.publish": {
    topic: string;
    size: number;
    receivers: number;
  };
  /** Changes one's own password */
  "password.set": {
    name: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Profiles of certificates */
  "profile.list": {
    items: Profile[];
    next: null;
  };
  /** Removes a profile */
  "profile.remove": {
    name: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Adds or changes a profile */
  "profile.set": {
    name: string;
    lifetime: number;
    grace: number;
    overlap: number;
    note: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Certifies a key that waits */
  "request.approve": {
    id: number;
    name: string;
    profile: string;
    via: string;
    source: string;
    claim: string | null;
    key: string;
    words: string;
    device_exists: boolean;
    state: "pending" | "approved" | "denied" | "issued" | "expired";
    created: string;
    expires: string;
    decided: string | null;
    decided_by: string | null;
    why: string | null;
    groups: string[];
    roles: string[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Refuses a key that waits */
  "request.deny": {
    id: number;
    name: string;
    profile: string;
    via: string;
    source: string;
    claim: string | null;
    key: string;
    words: string;
    device_exists: boolean;
    state: "pending" | "approved" | "denied" | "issued" | "expired";
    created: string;
    expires: string;
    decided: string | null;
    decided_by: string | null;
    why: string | null;
    groups: string[];
    roles: string[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Keys that wait for a person, the oldest first */
  "request.list": {
    items: Request[];
    next: string | null;
  };
  /** A key that waits */
  "request.show": {
    id: number;
    name: string;
    profile: string;
    via: string;
    source: string;
    claim: string | null;
    key: string;
    words: string;
    device_exists: boolean;
    state: "pending" | "approved" | "denied" | "issued" | "expired";
    created: string;
    expires: string;
    decided: string | null;
    decided_by: string | null;
    why: string | null;
    groups: string[];
    roles: string[];
  };
  /** Retained messages; what they say is hidden from viewers */
  "retained.list": {
    items: Message[];
    next: string | null;
  };
  /** Takes a retained message away */
  "retained.remove": {
    topic: string;
    receivers: number;
  };
  /** Changes that somebody made, the newest first */
  "revision.list": {
    items: Revision[];
    next: string | null;
  };
  /** Undoes a change, which is a revision itself */
  "revision.revert": {
    reverted: number;
    hint?: string;
    id: number | null;
    items: Difference[];
    left_out: number;
    token?: string;
    confirm_within?: number;
    warning?: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** A change: what was before and after */
  "revision.show": {
    id: number;
    time: string;
    actor: string;
    source: string;
    operation: string;
    target: string;
    objects: number;
    changes: {
      kind: string;
      object: string;
      change: "added" | "changed" | "removed";
    }[];
    items: Difference[];
    left_out: number;
  };
  /** Adds a role */
  "role.add": {
    name: string;
    note: string;
    device_count: number;
    rule_count: number;
    version: number;
    created: string;
    created_by: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Roles by name */
  "role.list": {
    items: Role[];
    next: null;
  };
  /** Removes a role and its rules */
  "role.remove": {
    name: string;
    rules_removed: number;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Changes or renames a role */
  "role.set": {
    name: string;
    note: string;
    device_count: number;
    rule_count: number;
    version: number;
    created: string;
    created_by: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** A role, its rules and its first 1000 devices */
  "role.show": {
    name: string;
    note: string;
    device_count: number;
    rule_count: number;
    version: number;
    created: string;
    created_by: string;
    rules: Rule[];
    devices: string[];
  };
  /** What a careful person would change, and a score */
  "security.check": {
    score: number;
    checks: number;
    checked: string;
    open: {
      critical: number;
      high: number;
      medium: number;
      low: number;
    };
    findings: {
      id: string;
      severity: "critical" | "high" | "medium" | "low";
      what: string;
      fix: string;
      command: string | null;
      page: string | null;
      count: number;
      objects: string[];
      muted: {
        reason: string;
        by: string;
        at: string;
      } | null;
    }[];
  };
  /** A finding counts no more, for a reason */
  "security.mute": {
    id: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** A finding counts again */
  "security.unmute": {
    id: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Logs in: the session is in the cookie */
  "session.add": {
    name: string;
    level: "viewer" | "operator" | "admin";
    totp: boolean;
    expires: string;
    page: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Open sessions, the newest first */
  "session.list": {
    items: {
      id: number;
      name: string;
      source: string;
      agent: string;
      created: string;
      seen: string;
      expires: string;
      current: boolean;
    }[];
    next: null;
  };
  /** Ends a session */
  "session.remove": {
    id: number;
    name: string;
    current: boolean;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Who asks */
  "session.show": {
    name: string;
    level: "nobody" | "viewer" | "operator" | "admin";
    totp?: boolean;
    expires?: string;
    page?: string;
  };
  /** A new setup code, told this once */
  "setup-code.add": {
    code: string;
    expires: string;
    tries: number;
    fingerprint?: string;
    public: boolean;
  };
  /** The first administrator, by the setup code */
  "setup.add": {
    name: string;
    level: "viewer" | "operator" | "admin";
    totp: boolean;
    expires: string;
    page: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Whether there is an administrator yet */
  "setup.show": {
    gateway: string;
    administrators: boolean;
    code: boolean;
  };
  /** Adds what is not here and changes what differs, all or nothing; id: the revision; without_credentials: at most 100 of the devices that it added, which have neither password nor certificate */
  "state.apply": {
    id: number | null;
    items: Difference[];
    left_out: number;
    without_credentials: string[];
    without_credentials_count: number;
    hint?: string;
    token?: string;
    confirm_within?: number;
    warning?: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** What applying such a document would change; id is null; without_credentials: at most 100 of the devices that it would add, which have neither password nor certificate then */
  "state.diff": {
    id: number | null;
    items: Difference[];
    left_out: number;
    without_credentials: string[];
    without_credentials_count: number;
    hint?: string;
  };
  /** Settings, listeners, roles, rules and devices in one document, without secrets */
  "state.show": {
    version: number;
    settings: Record<string, string>;
    listeners: Record<string, unknown>;
    roles: {
      name: string;
      note: string;
    }[];
    rules: {
      effect: "allow" | "deny";
      subject: string;
      action: "publish" | "subscribe" | "receive" | "all";
      filter: string;
      priority: number;
      literal: boolean;
      qos?: string;
      retain?: boolean;
      networks: string[];
    }[];
    devices: {
      name: string;
      kind: string;
      enabled: boolean;
      note: string;
      groups: string[];
      roles: string[];
    }[];
  };
  /** How the gateway does */
  status: {
    name: string;
    version: string;
    config_path: string;
    built: string | null;
    started: string | null;
    uptime: number;
    processes: {
      name: string;
      state: string;
      pid: number;
      since: string;
      restarts: number;
      last_exit: string;
    }[];
    listeners: {
      name: string;
      address: string;
      protocol: string;
      connections: number;
    }[];
    server_files: {
      name: string;
      path: string;
      fingerprint: string;
      not_after: string;
      public: boolean;
    }[];
    devices: {
      total: number;
      enabled: number;
      connected: number;
    };
    certificates: {
      good: number;
      revoked: number;
      expired: number;
      expiring: number;
    };
    connections: number;
    rules: number;
    roles: number;
    events: {
      first: number;
      last: number;
    };
    logins: {
      remembered: number;
      right: number;
      wrong: number;
      busy: number;
      "refused-source": number;
      "refused-account": number;
    };
    counters: Record<string, number>;
    spool: {
      ok: boolean;
      state: "works" | "full" | "failed";
      kept: {
        sessions: number;
        messages: number;
        queued: number;
        retained: number;
      };
      bytes: {
        used: number;
        file: number;
        max: number;
      };
      commits: number;
      batches: number;
      refused: number;
    };
    disk: {
      free?: number;
      total?: number;
    };
    clock: {
      ok: boolean;
      time: string;
    };
  };
  /** An API token, told this once */
  "token.add": {
    name: string;
    level: "viewer" | "operator" | "admin";
    operations: string[];
    created: string;
    created_by: string;
    expires: string;
    expired: boolean;
    seen: string | null;
    token: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** API tokens */
  "token.list": {
    items: Token[];
    next: null;
  };
  /** Removes an API token */
  "token.remove": {
    name: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** A secret for the authenticator app, told this once */
  "totp.add": {
    secret: string;
    uri: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Takes one's second factor away */
  "totp.remove": {
    name: string;
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** From now on logins need the second factor */
  "totp.set": {
    recovery_codes: string[];
    broker?: "done" | "away";
    sessions_closed?: number;
  };
  /** Packets that were recorded */
  "trace.show": {
    items: {
      seq: number;
      time: string;
      direction: "in" | "out" | "end";
      [more: string]: unknown;
    }[];
    dropped: number;
    ended: string | null;
  };
  /** Begins to record packets */
  "trace.start": {
    id: number;
  };
  /** Ends a trace */
  "trace.stop": {
    id: number;
  };
  /** Messages that were published; what they say is hidden from viewers */
  "watch.show": {
    items: {
      seq: number;
      time: string;
      device: string | null;
      client_id: string | null;
      topic: string;
      qos: number;
      retain: boolean;
      size: number;
      text: string | null;
      hex: string | null;
      cut: boolean;
      hidden: boolean;
    }[];
    dropped: number;
    ended: string | null;
  };
  /** Begins to watch messages */
  "watch.start": {
    id: number;
  };
  /** Ends a watch */
  "watch.stop": {
    id: number;
  };
}

/** What they take. */
export interface Takes {
  /** Adds a rule */
  "acl.add": {
    /** allow or deny */
    effect: string;
    /** device:NAME, group:NAME, role:NAME or any */
    subject: string;
    /** publish, subscribe, receive or all */
    action: string;
    /** topic filter; a level may be ${clientid} ${device} ${cn} ${san} ${group} */
    filter: string;
    /** 1000 + priority: 0 to 2000, higher is judged first (1000) */
    priority?: number;
    /** true: the filter is compared byte for byte, + # and ${} mean nothing (false) */
    literal?: boolean;
    /** only for this QoS of the message or subscription: 0, 1, 2 or several like 0,1 (any) */
    qos?: string;
    /** only for messages with the retain flag, or only for those without (any) */
    retain?: boolean;
    /** only for clients in one of these networks: 10.0.0.0/8, 2001:db8::/32 (any) */
    networks?: string[];
  };
  /** Adds and removes rules, all or none */
  "acl.apply": {
    /** the changes, as for acl.check: all of them, or none */
    with: string[];
  };
  /** Whether a device may do something, and why */
  "acl.check": {
    /** device that would do it */
    device: string;
    /** publish, subscribe or receive */
    action: string;
    /** topic, or for subscribe a topic filter */
    topic: string;
    /** MQTT client identifier (the device's name) */
    "client-id"?: string;
    /** QoS of the message or of the subscription (0) */
    qos?: number;
    /** whether the message is a retained one (false) */
    retain?: boolean;
    /** address of the client, for rules with networks (that of its connection, if it has one) */
    address?: string;
    /** what nobody has saved, a line each: allow|deny SUBJECT ACTION FILTER [literal] [priority N] [qos 0,1] [retain yes|no] [network A,B], remove NUMBER, remove all */
    with?: string[];
    /** as if it had these roles (its own) */
    roles?: string[];
    /** as if it were in these groups (its own) */
    groups?: string[];
  };
  /** Rules in the order of evaluation */
  "acl.list": {
    /** device:NAME, group:NAME, role:NAME or any */
    subject?: string;
  };
  /** What would be decided otherwise, of what was done and refused lately */
  "acl.preview": {
    /** what nobody has saved, as for acl.check */
    with: string[];
    /** only what this device did (all) */
    device?: string;
    /** what was done or refused in so many days, at least 1 (7) */
    days?: number;
  };
  /** Removes a rule */
  "acl.remove": {
    /** number of the rule */
    id: number;
  };
  /** Adds an administrator */
  "administrator.add": {
    /** name, like a device name */
    name: string;
    /** viewer (sees everything but what messages say), operator (also changes devices, rules and certificates) or admin */
    level: string;
    /** password, 10 to 511 bytes */
    password: string;
  };
  /** Administrators */
  "administrator.list": Record<string, never>;
  /** Removes an administrator, and the tokens that he made */
  "administrator.remove": {
    /** name of the administrator */
    name: string;
  };
  /** Changes an administrator; his tokens do not stay above him */
  "administrator.set": {
    /** viewer (sees everything but what messages say), operator (also changes devices, rules and certificates) or admin */
    level?: string;
    /** false: the sessions are closed and nobody can log in as this one */
    enabled?: boolean;
    /** new password, 10 to 511 bytes; the sessions are closed */
    password?: string;
    /** false: takes the second factor away */
    totp?: boolean;
    /** name of the administrator */
    name: string;
  };
  /** Who changed what, who tried to; the newest first */
  "audit.list": {
    /** only what this caller did or tried */
    actor?: string;
    /** only this operation, or those that begin so: device. */
    operation?: string;
    /** only changes of this object */
    target?: string;
    /** only those that ended so: ok, denied, invalid ... */
    outcome?: string;
    /** cursor of the page before */
    after?: string;
    /** rows in the answer, 1 to 1000 (100), newest first */
    limit?: number;
  };
  /** Whether a backup can be made, and the last one */
  "backup.show": Record<string, never>;
  /** Bans a network until a time */
  "ban.add": {
    /** network that may not come, CIDR or one address; of IPv6 one address stands for its /64 */
    network: string;
    /** ends by itself after so many seconds, 60 and more (3600) */
    for?: number;
    /** why, for those who come after */
    reason?: string;
  };
  /** Who may not come: networks that administrators banned, and addresses that have to wait after wrong passwords */
  "ban.list": Record<string, never>;
  /** Ends a ban, and the waiting after wrong passwords */
  "ban.remove": {
    /** network as ban.list shows it, or an address that has to wait; one of kind login takes the level admin */
    network: string;
  };
  /** Compares the journal of issued certificates with the registry, part by part */
  "ca.check": {
    /** cursor of the part before */
    after?: string;
  };
  /** Gives an authority up: its key is in the wrong hands */
  "ca.compromise": {
    /** SHA-256 fingerprint of the root of that authority */
    fingerprint: string;
  };
  /** A copy of the registry for a backup */
  "ca.copy": Record<string, never>;
  /** Cross certificates */
  "ca.cross": {
    /** PEM: the next root, certified by the root in use; or the root in use, certified by another authority, and that authority */
    certificates: string;
  };
  /** A signing request for an authority elsewhere */
  "ca.csr": Record<string, never>;
  /** Removes the root's key from this machine */
  "ca.forget-root": {
    /** SHA-256 fingerprint of the root whose key leaves this machine */
    fingerprint: string;
  };
  /** The certificate for that request */
  "ca.import": {
    /** PEM: the certificate for the signing request, and its root */
    certificates: string;
  };
  /** Locks the issuing key by a passphrase */
  "ca.lock": {
    /** passphrase for the issuing key, 8 to 511 bytes */
    passphrase: string;
  };
  /** One step of the change to a new authority */
  "ca.rollover": {
    /** start, switch, finish or abort */
    step: string;
    /** true: although devices would be left behind */
    force?: boolean;
    /** with start: P-256 or P-384, the curve of the next root's key; small clients know P-256 alone (P-256) */
    root?: string;
  };
  /** The certificate authority */
  "ca.show": Record<string, never>;
  /** Unlocks the issuing key */
  "ca.unlock": {
    /** the passphrase that ca.lock was given */
    passphrase: string;
  };
  /** Issues a certificate for the key of a request */
  "cert.add": {
    /** certificate signing request, PEM or DER */
    csr: string;
    /** device that gets the certificate */
    device: string;
  };
  /** Revokes a certificate until it is released */
  "cert.hold": {
    /** fingerprint or serial number of a good certificate */
    id: string;
  };
  /** Lets a certificate of another authority open a device */
  "cert.import": {
    /** certificate that another authority issued, PEM or DER */
    certificate: string;
    /** device that the certificate opens */
    device: string;
  };
  /** Certificates in the order of issue */
  "cert.list": {
    /** only certificates of this device */
    device?: string;
    /** only good ones that end within so many seconds, the soonest first */
    expiring?: number;
    /** only of devices whose name contains this, or whose fingerprint or serial number begins with it; not with device or expiring, as the next three */
    match?: string;
    /** only good, expired, revoked, hold, superseded or pending ones */
    status?: string;
    /** devices or gateway: whose they are */
    of?: string;
    /** of issue: asc, or desc: the newest first (asc) */
    order?: string;
    /** cursor of the page before */
    after?: string;
    /** rows in the answer, 1 to 1000 (100) */
    limit?: number;
  };
  /** Takes a hold back */
  "cert.release": {
    /** fingerprint or serial number of a certificate on hold */
    id: string;
  };
  /** Revokes certificates for good; their sessions are closed */
  "cert.revoke": {
    /** fingerprint or serial number; or give device */
    id?: string;
    /** every good certificate of this device */
    device?: string;
    /** unspecified, key-compromise, superseded, cessation, affiliation-changed, privilege-withdrawn */
    reason?: string;
  };
  /** A certificate */
  "cert.show": {
    /** SHA-256 fingerprint (or its first 8 digits and more) or serial number, hexadecimal */
    id: string;
  };
  /** Lets certificates of another authority enrol devices */
  "claim.add": {
    /** name of the claim */
    name: string;
    /** certificate of the authority that issued the claim certificates, PEM or DER */
    authority: string;
    /** what says the name of the device: csr (the request), cn or serial (the subject of the claim certificate) (cn) */
    "name-from"?: string;
    /** names must be like this; * stands for any letters (*) */
    pattern?: string;
    /** devices an hour, at least 1 (100) */
    quota?: number;
    /** whether a person decides each time (false) */
    approval?: boolean;
    /** profile of the certificates (device) */
    profile?: string;
    /** what the devices are, free text (device) */
    kind?: string;
    /** groups that the devices join */
    groups?: string[];
    /** roles that the devices get */
    roles?: string[];
  };
  /** Adds names to the allow-list of a claim */
  "claim.allow": {
    /** names of devices that it may enrol; once there is one, only those */
    names: string[];
    /** name of the claim */
    name: string;
  };
  /** Claims */
  "claim.list": Record<string, never>;
  /** Removes a claim */
  "claim.remove": {
    /** name of the claim */
    name: string;
  };
  /** Connections in the order of connecting */
  "client.list": {
    /** only connections of this device */
    device?: string;
    /** cursor of the page before */
    after?: string;
    /** rows in the answer, 1 to 1000 (100) */
    limit?: number;
  };
  /** Closes a connection */
  "client.remove": {
    /** MQTT client identifier: its connection is closed */
    "client-id": string;
  };
  /** A session, and its connection when it has one */
  "client.show": {
    /** MQTT client identifier */
    "client-id": string;
  };
  /** An enrolment code, told this once */
  "code.add": {
    /** device that enrols with it; one that is not there yet is added then */
    name?: string;
    /** instead of a name: new devices whose names are like this; * stands for any letters */
    pattern?: string;
    /** seconds for which it is valid, at least 1 (86400) */
    ttl?: number;
    /** how often it may be used, at least 1 (1) */
    uses?: number;
    /** network it must be used from, CIDR or one address */
    network?: string;
    /** profile of the certificates (device) */
    profile?: string;
    /** what the devices that it adds are, free text (device) */
    kind?: string;
    /** groups that the devices it adds join */
    groups?: string[];
    /** roles that the devices it adds get */
    roles?: string[];
    /** free text */
    note?: string;
    /** true: older codes for this name stay valid; false: the new one replaces them (false) */
    keep?: boolean;
  };
  /** Enrolment codes, the newest first */
  "code.list": {
    /** cursor of the page before */
    after?: string;
    /** rows in the answer, 1 to 1000 (100) */
    limit?: number;
  };
  /** Removes an enrolment code */
  "code.remove": {
    /** number of the code */
    id: number;
  };
  /** Keeps a change of settings that waits to be confirmed, or undoes it */
  "config.confirm": {
    /** of the change, as it was answered (whichever waits) */
    token?: string;
    /** false: undoes it now (true) */
    keep?: boolean;
  };
  /** Settings in the order of the manual */
  "config.list": Record<string, never>;
  /** Reads the configuration files again, as systemctl reload does */
  "config.reload": Record<string, never>;
  /** Changes a setting; of a section that is gone only key and value */
  "config.set": {
    /** the value as it would stand in the file; empty goes back to the default */
    value: string;
    /** seconds until the change is undone, and a restart undoes it as well, unless config.confirm comes (0: it stays) */
    "confirm-within"?: number;
    /** section.key, listener.NAME.key */
    key: string;
  };
  /** A setting */
  "config.show": {
    /** section.key, listener.NAME.key */
    key: string;
  };
  /** Revocation lists */
  "crl.show": Record<string, never>;
  /** Adds a device; with a csr also its certificate */
  "device.add": {
    /** device name: 1 to 64 of A-Z a-z 0-9 . _ : @ -, first a letter or digit */
    name: string;
    /** what it is, free text (device) */
    kind?: string;
    /** groups it joins */
    groups?: string[];
    /** roles it gets */
    roles?: string[];
    /** free text */
    note?: string;
    /** certificate signing request, PEM or DER: a certificate is issued for its key */
    csr?: string;
    /** password for MQTT logins, 8 to 511 bytes */
    password?: string;
    /** instead of a password: its hash from Mosquitto, $6$... or $7$... */
    "password-hash"?: string;
  };
  /** Devices */
  "device.list": {
    /** only members of this group */
    group?: string;
    /** only names that contain this */
    match?: string;
    /** only devices in this state: connected, away, never (connected), barred (from connecting) or disabled, as it was up to 4 seconds ago */
    state?: string;
    /** only devices of this kind */
    kind?: string;
    /** name, kind, created, certificate: when its certificate ends, seen: when it was last connected, or state: connected, away, never, barred, disabled (name); seen and state as they were up to 4 seconds ago, and later while thousands of devices come at once */
    sort?: string;
    /** asc or desc (asc) */
    order?: string;
    /** true: the first page also says in total how many fit; null: more than 10000 fit several filters or a part of a name */
    count?: boolean;
    /** cursor of the page before */
    after?: string;
    /** rows in the answer, 1 to 1000 (100) */
    limit?: number;
  };
  /** Removes a device and revokes its certificates */
  "device.remove": {
    /** device name */
    name: string;
  };
  /** Changes a device: what is not given stays */
  "device.set": {
    /** false: its sessions are closed and it cannot return */
    enabled?: boolean;
    /** what it is, free text */
    kind?: string;
    /** replaces its groups */
    groups?: string[];
    /** replaces its roles */
    roles?: string[];
    /** free text */
    note?: string;
    /** new password, 8 to 511 bytes; empty removes it */
    password?: string;
    /** instead of a password: its hash from Mosquitto, $6$... or $7$... */
    "password-hash"?: string;
    /** only if the device still has this version, as device.show gives it */
    version?: number;
    /** device name */
    name: string;
  };
  /** A device, its certificates, rules and connections */
  "device.show": {
    /** device name */
    name: string;
  };
  /** Says that somebody has looked at events */
  "event.acknowledge": {
    /** number of one event; or give name, for many */
    seq?: number;
    /** all events of this name */
    name?: string;
    /** with name: only those of this device, actor or address without its port */
    who?: string;
    /** with name: only those for this reason; empty: for none */
    reason?: string;
    /** with name: up to this number (the newest) */
    through?: number;
    /** what was found */
    note?: string;
    /** true: takes an acknowledgement back (false) */
    undo?: boolean;
  };
  /** Events, the oldest first; with since and wait the answer waits for one */
  "event.list": {
    /** only events with a greater sequence number, oldest first */
    since?: number;
    /** the newest so many (50), oldest first */
    last?: number;
    /** with since: wait up to so many milliseconds for the first one */
    wait?: number;
    /** only events of this device */
    device?: string;
    /** only events of this name or name prefix: client, acl.denied */
    name?: string;
    /** only events at least this severe: debug, info, notice, warning, error, critical */
    severity?: string;
    /** only those that nobody has acknowledged (open), or only the others (acknowledged) */
    state?: string;
  };
  /** Who is in learn mode */
  "learn.list": Record<string, never>;
  /** Rules that would allow what was done in learn mode */
  "learn.propose": {
    /** rules for what this device did; or give role */
    device?: string;
    /** rules for what devices with this role did */
    role?: string;
  };
  /** What was done in learn mode, by device */
  "learn.show": {
    /** what this device did; or give role */
    device?: string;
    /** what devices with this role did */
    role?: string;
  };
  /** Allows for a time what no rule denies, and notes it */
  "learn.start": {
    /** the device that may do what no rule denies; or give role */
    device?: string;
    /** all devices with this role */
    role?: string;
    /** ends after so many days, 1 to 31 (7) */
    days?: number;
  };
  /** Ends a learn mode */
  "learn.stop": {
    /** device whose learn mode ends; or give role */
    device?: string;
    /** role whose learn mode ends */
    role?: string;
    /** true: what was learnt is forgotten (false) */
    forget?: boolean;
  };
  /** The limits with their values, and which were reached by whom last */
  "limit.list": Record<string, never>;
  /** The newest log lines of every process, the oldest first; with since and wait the answer waits for one */
  "log.list": {
    /** only lines with a greater number, oldest first */
    since?: number;
    /** the newest so many (100), oldest first */
    last?: number;
    /** with since: wait up to so many milliseconds for the first one */
    wait?: number;
    /** only lines at least this severe: error, warning, notice, info, debug (all that are written, see log.level) */
    level?: string;
    /** only lines of this process: parent, broker, admin, enrol, ctl, store, vault */
    process?: string;
    /** only lines with this text in them, in any case */
    match?: string;
  };
  /** Publishes a message */
  "message.publish": {
    /** topic, not one of the gateway's own ($gw/, $SYS/) */
    topic: string;
    /** what it says, text (nothing) */
    payload?: string;
    /** instead: any bytes, at most 24576, in base64 */
    data?: string;
    /** QoS (0) */
    qos?: number;
    /** whether it is kept for those who subscribe later; an empty payload takes the kept one away (false) */
    retain?: boolean;
    /** as this device: only if its rules allow it (no rules are asked) */
    as?: string;
  };
  /** Changes one's own password */
  "password.set": {
    /** the password of now */
    old: string;
    /** new password, 10 to 511 bytes; other sessions are closed */
    password: string;
  };
  /** Profiles of certificates */
  "profile.list": Record<string, never>;
  /** Removes a profile */
  "profile.remove": {
    /** name of the profile */
    name: string;
  };
  /** Adds or changes a profile */
  "profile.set": {
    /** seconds that certificates live; 0: as long as the authority */
    lifetime?: number;
    /** seconds after its end in which a certificate still renews itself (of a new profile 2592000) */
    grace?: number;
    /** seconds in which old and new certificate both hold, unless the new one is seen (of a new profile 604800) */
    overlap?: number;
    /** free text */
    note?: string;
    /** name of the profile, also its EST label; one that is not there is added */
    name: string;
  };
  /** Certifies a key that waits */
  "request.approve": {
    /** true: there is a device of this name already, and the key is to be its own (false) */
    existing?: boolean;
    /** profile of the certificate (what was asked for) */
    profile?: string;
    /** what the new device is, free text */
    kind?: string;
    /** groups that the new device joins */
    groups?: string[];
    /** roles that the new device gets */
    roles?: string[];
    /** number of the request */
    id: number;
  };
  /** Refuses a key that waits */
  "request.deny": {
    /** told to the device that asks again */
    why?: string;
    /** number of the request */
    id: number;
  };
  /** Keys that wait for a person, the oldest first */
  "request.list": {
    /** only those in this state: pending, approved, denied, issued (those that wait or are not collected) */
    state?: string;
    /** cursor of the page before */
    after?: string;
    /** rows in the answer, 1 to 1000 (100) */
    limit?: number;
  };
  /** A key that waits */
  "request.show": {
    /** number of the request */
    id: number;
  };
  /** Retained messages; what they say is hidden from viewers */
  "retained.list": {
    /** only topics that match this topic filter (#, which leaves out those that begin with $) */
    filter?: string;
    /** only what the rules let this device get */
    as?: string;
    /** cursor of the page before */
    after?: string;
    /** rows in the answer, 1 to 1000 (100), in no useful order; large messages make it fewer */
    limit?: number;
  };
  /** Takes a retained message away */
  "retained.remove": {
    /** topic of the retained message; subscribers are told as if it was published empty */
    topic: string;
  };
  /** Changes that somebody made, the newest first */
  "revision.list": {
    /** only changes of this kind of object: device, role, rule, setting, administrator, profile, cert */
    kind?: string;
    /** only changes of the object of this name */
    object?: string;
    /** only what this caller changed */
    actor?: string;
    /** cursor of the page before */
    after?: string;
    /** rows in the answer, 1 to 1000 (100), newest first */
    limit?: number;
  };
  /** Undoes a change, which is a revision itself */
  "revision.revert": {
    /** seconds until reverted settings are undone again unless config.confirm comes (0: they stay) */
    "confirm-within"?: number;
    /** number of the revision that is to be undone; it takes the level that its changes take */
    id: number;
  };
  /** A change: what was before and after */
  "revision.show": {
    /** number of the revision */
    id: number;
  };
  /** Adds a role */
  "role.add": {
    /** role name */
    name: string;
    /** free text */
    note?: string;
  };
  /** Roles by name */
  "role.list": Record<string, never>;
  /** Removes a role and its rules */
  "role.remove": {
    /** role name */
    name: string;
  };
  /** Changes or renames a role */
  "role.set": {
    /** free text */
    note?: string;
    /** renames it */
    "new-name"?: string;
    /** only if the role still has this version, as role.show gives it */
    version?: number;
    /** role name */
    name: string;
  };
  /** A role, its rules and its first 1000 devices */
  "role.show": {
    /** role name */
    name: string;
  };
  /** What a careful person would change, and a score */
  "security.check": Record<string, never>;
  /** A finding counts no more, for a reason */
  "security.mute": {
    /** why, for those who come after */
    reason: string;
    /** finding that is no trouble here, as security.check names it */
    id: string;
  };
  /** A finding counts again */
  "security.unmute": {
    /** finding that counts again */
    id: string;
  };
  /** Logs in: the session is in the cookie */
  "session.add": {
    /** name of the administrator */
    name: string;
    /** password */
    password: string;
    /** six digits of the authenticator app, or a recovery code */
    code?: string;
  };
  /** Open sessions, the newest first */
  "session.list": {
    /** those of every administrator, which needs the level admin (only one's own) */
    all?: boolean;
  };
  /** Ends a session */
  "session.remove": {
    /** number of the session; 0: the one that asks */
    id: number;
  };
  /** Who asks */
  "session.show": Record<string, never>;
  /** A new setup code, told this once */
  "setup-code.add": Record<string, never>;
  /** The first administrator, by the setup code */
  "setup.add": {
    /** setup code, as the installation or setup-code.add gave it */
    code: string;
    /** name of the administrator, like a device name */
    name: string;
    /** password, 10 to 511 bytes */
    password: string;
  };
  /** Whether there is an administrator yet */
  "setup.show": Record<string, never>;
  /** Adds what is not here and changes what differs, all or nothing; id: the revision; without_credentials: at most 100 of the devices that it added, which have neither password nor certificate */
  "state.apply": {
    /** the document, as state.show gives it */
    state: Record<string, unknown>;
    /** true: what is here and not in the document goes (false) */
    prune?: boolean;
    /** seconds until settings are undone unless config.confirm comes (0: they stay) */
    "confirm-within"?: number;
  };
  /** What applying such a document would change; id is null; without_credentials: at most 100 of the devices that it would add, which have neither password nor certificate then */
  "state.diff": {
    /** the document, as state.show gives it */
    state: Record<string, unknown>;
    /** true: what is here and not in the document would go (false) */
    prune?: boolean;
  };
  /** Settings, listeners, roles, rules and devices in one document, without secrets */
  "state.show": Record<string, never>;
  /** How the gateway does */
  status: Record<string, never>;
  /** An API token, told this once */
  "token.add": {
    /** what it is for, like a device name */
    name: string;
    /** viewer (sees everything but what messages say), operator (also changes devices, rules and certificates) or admin */
    level: string;
    /** operations it may ask for, or beginnings of them that end in a dot: device.list, acl. (all of its level) */
    operations?: string[];
    /** seconds until it ends, 60 and more (90 days) */
    ttl?: number;
  };
  /** API tokens */
  "token.list": Record<string, never>;
  /** Removes an API token */
  "token.remove": {
    /** name of the token */
    name: string;
  };
  /** A secret for the authenticator app, told this once */
  "totp.add": {
    /** one's password */
    password: string;
  };
  /** Takes one's second factor away */
  "totp.remove": {
    /** one's password */
    password: string;
  };
  /** From now on logins need the second factor */
  "totp.set": {
    /** six digits of the authenticator app: from now on logins need it */
    code: string;
  };
  /** Packets that were recorded */
  "trace.show": {
    /** number of the trace */
    id: number;
    /** only lines with a greater seq; those before are forgotten */
    after?: number;
    /** wait up to so many milliseconds for the first one */
    wait?: number;
  };
  /** Begins to record packets */
  "trace.start": {
    /** MQTT client identifier: every packet of it; or give device or topic */
    "client-id"?: string;
    /** every packet of this device's clients */
    device?: string;
    /** topic filter: messages to matching topics, of all clients, and who subscribes to it */
    topic?: string;
    /** ends after so many seconds (600) */
    for?: number;
    /** ends after so many lines */
    count?: number;
    /** with the beginning of what the messages say (false) */
    payload?: boolean;
  };
  /** Ends a trace */
  "trace.stop": {
    /** number of the trace */
    id: number;
  };
  /** Messages that were published; what they say is hidden from viewers */
  "watch.show": {
    /** number of the watch; it ends when nobody asks for 10 s */
    id: number;
    /** only messages with a greater seq; those before are forgotten */
    after?: number;
    /** wait up to so many milliseconds for the first one */
    wait?: number;
  };
  /** Begins to watch messages */
  "watch.start": {
    /** topic filter: every message that is published to matching topics, once; what they say is for operators, a viewer sees topic, size and QoS */
    filter: string;
    /** only what this device publishes; it need not be there yet */
    device?: string;
    /** only what the rules let this device get */
    as?: string;
  };
  /** Ends a watch */
  "watch.stop": {
    /** number of the watch */
    id: number;
  };
}
