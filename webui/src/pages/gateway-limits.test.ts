// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { amount } from "./gateway-limits";

test("a limit is said in its own unit", () => {
  expect(amount("max-connections", 16384)).toBe("16,384");
  expect(amount("max-packet", 1 << 20)).toBe("1.0 MiB");
  expect(amount("connect-timeout", 5000)).toBe("5 s");
  expect(amount("max-queued-age", 3600000)).toBe("1 h");
  expect(amount("max-queued-messages", 1000)).toBe("1,000");
  expect(amount("publish-bytes-per-device", 1 << 20)).toBe("1.0 MiB a second");
  expect(amount("handshake-rate-per-address", 50)).toBe("50 a second");
  expect(amount("store.spool-max-size", 1 << 30)).toBe("1.0 GiB");
  expect(amount("store.password-rate-per-address", 20)).toBe("20 a second");
  expect(amount("store.password-tries", 5)).toBe("5");
  expect(amount("max-payload", 0)).toBe("no limit");
});
