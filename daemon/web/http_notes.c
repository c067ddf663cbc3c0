/* SPDX-License-Identifier: Apache-2.0
 *
 * Notes of the HTTP server to the main loop: see http_notes.h.
 */
#include "daemon/web/http_notes.h"
#include "daemon/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Tells the main loop of a body that was too large. */
struct size_note {
	struct loop_note note;
	const struct http_config *config;
	char source[ADDR_TEXT];
};

static void tell_size(struct loop_note *note)
{
	struct size_note *n = container_of(note, struct size_note, note);
	n->config->too_large(n->config->owner, n->source);
	free(n);
}

void http_note_too_large(const struct http_config *config, const char source[ADDR_TEXT])
{
	struct size_note *n = mem_new(struct size_note);
	n->config = config;
	strcpy(n->source, source);
	loop_post(config->loop, &n->note, tell_size);
}

/* Tells the main loop of a connection that was refused. */
struct refusal_note {
	struct loop_note note;
	const struct http_config *config;
	enum event event;
	const char *why;
	char source[ADDR_TEXT];
};

static void tell_refusal(struct loop_note *note)
{
	struct refusal_note *n = container_of(note, struct refusal_note, note);
	n->config->refused(n->config->owner, n->event, n->source, n->why);
	free(n);
}

void http_note_refused(const struct http_config *config, const struct addr *from, enum event event,
		       const char *why)
{
	struct refusal_note *n = mem_new(struct refusal_note);
	n->config = config;
	n->event = event;
	n->why = why;
	addr_format(from, n->source);
	loop_post(config->loop, &n->note, tell_refusal);
}
