// SPDX-License-Identifier: Apache-2.0
// What the API answers, by the names that pages use for it. All of it comes from the description of the API
// (api-types.ts). Times are RFC 3339 in UTC.
import type { Answers, Event } from "./api-types";

export type {
  Administrator,
  Answers,
  Authorities,
  Authority,
  Certificate,
  Client,
  Code,
  Device,
  Difference,
  Learning,
  Message,
  Request,
  Revision,
  Role,
  Rule,
  Setting,
  Takes,
  Token,
} from "./api-types";

/** A row of what a list answers. */
export type Row<Name extends keyof Answers> = Answers[Name] extends { items: (infer T)[] } ? T : never;

export type Status = Answers["status"];
export type ListenerState = Status["listeners"][number];
export type DeviceDetail = Answers["device.show"];
export type SecurityCheck = Answers["security.check"];
export type Finding = SecurityCheck["findings"][number];
export type GatewayEvent = Event;
export type Severity = Event["severity"];
