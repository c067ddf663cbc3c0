// SPDX-License-Identifier: Apache-2.0
import qrcode from "qrcode-generator";

/** A QR code, dark on light in both themes, as readers want it. */
export function Qr({ value, label }: { value: string; label: string }) {
  const qr = qrcode(0, "M");
  qr.addData(value);
  qr.make();
  const n = qr.getModuleCount();
  let path = "";
  for (let y = 0; y < n; y++)
    for (let x = 0; x < n; x++) if (qr.isDark(y, x)) path += `M${x + 4} ${y + 4}h1v1h-1z`;
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${n + 8} ${n + 8}`}
      role="img"
      aria-label={label}
      shape-rendering="crispEdges"
    >
      <rect width="100%" height="100%" fill="#ffffff" />
      <path d={path} fill="#000000" />
    </svg>
  );
}
