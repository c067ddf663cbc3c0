// SPDX-License-Identifier: Apache-2.0
// A line chart of the last minutes. For those who cannot see it, its newest figures stand in the label.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Line {
  label: string;
  /** A custom property of the style sheet, "--accent". */
  colour: string;
  points: { at: number; value: number }[];
}

const HEIGHT = 180;
/** Seconds that a chart shows at least: a new one grows from the right instead of being stretched. */
const SPAN_S = 120;

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function colourOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function dataOf(lines: Line[]): uPlot.AlignedData {
  const x = (lines[0]?.points ?? []).map((p) => p.at / 1000);
  if (x.length === 0) {
    // an axis of the last minutes, though there is nothing on it yet
    const now = Date.now() / 1000;
    return [[now - SPAN_S, now], ...lines.map(() => [null, null])];
  }
  return [x, ...lines.map((l) => l.points.map((p) => p.value))];
}

export function Chart({
  label,
  lines,
  format,
  least = 1,
}: {
  label: string;
  lines: Line[];
  format: (n: number) => string;
  /** The top of the scale while all values are lower. */
  least?: number;
}) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  useEffect(() => {
    const box = host.current;
    if (!box) return;
    const make = () => {
      plot.current?.destroy();
      const axis = {
        stroke: colourOf("--muted"),
        grid: { stroke: colourOf("--line"), width: 1 },
        ticks: { show: false },
      };
      plot.current = new uPlot(
        {
          width: box.clientWidth,
          height: HEIGHT,
          legend: { show: false },
          cursor: { show: false },
          scales: {
            x: {
              range: (_u, min, max) => [Math.min(min, max - SPAN_S), max],
            },
            y: { range: (_u, _min, max) => [0, Math.max(least, (max || 0) * 1.15)] },
          },
          axes: [
            {
              ...axis,
              size: 28,
              space: 90,
              values: (_u, values) => values.map((v) => clock.format(v * 1000)),
            },
            { ...axis, size: 64, values: (_u, values) => values.map(format) },
          ],
          series: [
            {},
            ...lines.map((l) => ({
              label: l.label,
              stroke: colourOf(l.colour),
              width: 2,
              points: { show: false },
            })),
          ],
        },
        dataOf(lines),
        box,
      );
    };
    make();
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: box.clientWidth, height: HEIGHT }),
    );
    resized.observe(box);
    const theme = new MutationObserver(make);
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      resized.disconnect();
      theme.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);
  useEffect(() => plot.current?.setData(dataOf(lines)));
  const now = lines.map((l) => `${l.label} ${format(l.points[l.points.length - 1]?.value ?? 0)}`).join(", ");
  return (
    <div class="chart" aria-label={`${label}: ${now}`} role="img">
      <div class="row small" aria-hidden="true">
        {lines.map((l) => (
          <span key={l.label}>
            <svg width="14" height="10" viewBox="0 0 14 10">
              <line x1="0" y1="5" x2="14" y2="5" stroke={`var(${l.colour})`} stroke-width="3" />
            </svg>{" "}
            {l.label} <strong>{format(l.points[l.points.length - 1]?.value ?? 0)}</strong>
          </span>
        ))}
      </div>
      <div ref={host} aria-hidden="true" />
    </div>
  );
}
