// SPDX-License-Identifier: Apache-2.0
// Taking the newest change of an object back, as one of the Gateway page's changes can be.
import { get, post } from "../api";
import { text } from "../text";
import type { Answers } from "../types";
import { explain } from "./kit";
import { toast } from "./toast";

/** What a notice of a change offers; done is called when it was taken back, or could not be. */
export function undoLast(kind: "role" | "device", object: string, done: () => void): () => void {
  const undo = async () => {
    const newest = await get<Answers["revision.list"]>("/revisions", { kind, object, limit: 1 });
    const id = newest.items[0]?.id;
    if (id !== undefined) await post(`/revisions/${id}/revert`);
    toast(text.changes.takenBack(object));
  };
  return () => {
    undo()
      .catch((e: unknown) => toast(explain(e)))
      .finally(done);
  };
}
