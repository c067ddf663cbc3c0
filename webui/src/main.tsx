// SPDX-License-Identifier: Apache-2.0
import { render } from "preact";
import { App } from "./app";
import "./style/base.css";
import { startTheme } from "./theme";

const root = document.getElementById("app");
startTheme();
if (root) render(<App />, root);
