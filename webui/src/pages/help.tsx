// SPDX-License-Identifier: Apache-2.0
// The manual pages of this very version, which the gateway has in itself: they need no other machine.
import { useEffect, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { type Block, manual, type Span } from "../manual";
import { text } from "../text";
import { Link, Spinner, Trouble } from "../ui/kit";

const t = text.help;

async function load(name: string): Promise<Block[]> {
  const answer = await fetch(`/manual/${name}`);
  if (!answer.ok) throw new Error(t.missing);
  return manual(await answer.text());
}

function Spans({ of }: { of: Span[] }) {
  return (
    <>
      {of.map((s) =>
        s.font === "b" ? <strong>{s.text}</strong> : s.font === "i" ? <em>{s.text}</em> : s.text,
      )}
    </>
  );
}

function Shown({ block }: { block: Block }) {
  switch (block.kind) {
    case "section":
      return <h2 id={block.id}>{block.text}</h2>;
    case "part":
      return <h3 id={block.id}>{block.text}</h3>;
    case "code":
      return <pre class={`depth-${Math.min(block.depth, 3)}`}>{block.text}</pre>;
    case "table":
      return (
        <table>
          <tbody>
            {block.rows.map((row) => (
              <tr>
                {row.map((cell) => (
                  <td colSpan={row.length === 1 ? 3 : 1}>
                    <Spans of={cell} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      );
    default:
      return (
        <p class={`${block.kind} depth-${Math.min(block.depth, 3)}`}>
          <Spans of={block.spans} />
        </p>
      );
  }
}

function Contents({ blocks }: { blocks: Block[] }) {
  return (
    <nav class="contents" aria-label={t.contents}>
      {blocks.map(
        (b) =>
          b.kind === "section" && (
            <a key={b.id} href={`#${b.id}`}>
              {b.text}
            </a>
          ),
      )}
    </nav>
  );
}

export default function Help({ place }: PageProps) {
  const name = t.pages.find((p) => p.path === place.parts[1])?.name ?? "gatehouse.1";
  const [shown, set] = useState<{ name: string; blocks: Block[] } | undefined>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let live = true;
    setError(undefined);
    load(name)
      .then((blocks) => live && set({ name, blocks }))
      .catch((e: unknown) => live && setError(e));
    return () => {
      live = false;
    };
  }, [name]);
  return (
    <div class="stack manual">
      <h1>{t.title}</h1>
      <p class="muted">{t.intro}</p>
      <nav class="row" aria-label={t.choose}>
        {t.pages.map((p) => (
          <Link key={p.name} href={`/help/${p.path}`} aria-current={p.name === name ? "page" : undefined}>
            {p.title}
          </Link>
        ))}
      </nav>
      {error !== undefined ? (
        <Trouble error={error} />
      ) : shown?.name === name ? (
        <>
          <Contents blocks={shown.blocks} />
          <article class="card">
            {shown.blocks.map((b) => (
              <Shown block={b} />
            ))}
          </article>
        </>
      ) : (
        <Spinner />
      )}
    </div>
  );
}
