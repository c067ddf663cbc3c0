// SPDX-License-Identifier: Apache-2.0
import { render } from "preact";
import { App } from "./app";
import "./style/base.css";
import { useStoredTheme } from "./theme";

const root = document.getElementById("app");
useStoredTheme();
if (root) render(<App />, root);
