// SPDX-License-Identifier: Apache-2.0
// Overview.
export default function Overview() {
  return <h1>Overview</h1>;
}
