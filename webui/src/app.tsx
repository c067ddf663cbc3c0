// SPDX-License-Identifier: Apache-2.0
import { text } from "./text";

export function App() {
  return <p>{text.loading}</p>;
}
