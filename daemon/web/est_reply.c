/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of EST: see est_reply.h.
 */
#include "daemon/web/est_reply.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/ipc/rec.h"
#include "daemon/web/est_wire.h"

#include <stdio.h>

#define TEXT_PLAIN "text/plain; charset=utf-8"

void est_reply_base64(struct http_request *r, const char *content_type, struct str der)
{
	AUTO_BUF text = {0};
	est_put_base64(der, est_wants_lines(http_header(r, "User-Agent")), &text);
	/* RFC 8951 makes it void; some clients look for it. */
	http_add_header(r, "Content-Transfer-Encoding", "base64");
	http_reply(r, 200, content_type, buf_view(&text), NULL);
}

static void add_retry_after(struct http_request *r, unsigned seconds)
{
	char text[16];
	snprintf(text, sizeof(text), "%u", seconds);
	if (seconds)
		http_add_header(r, "Retry-After", text);
}

void est_reply_text(struct http_request *r, unsigned status, const char *sentence,
		    unsigned retry_after_s, const char *allow)
{
	AUTO_BUF text = {0};
	buf_printf(&text, "%s\n", sentence);
	add_retry_after(r, retry_after_s);
	if (status == 401)
		http_add_header(r, "WWW-Authenticate", "Basic realm=\"est\", charset=\"UTF-8\"");
	http_reply(r, status, TEXT_PLAIN, buf_view(&text), allow);
}

void est_reply_pending(struct http_request *r, unsigned retry_after_s)
{
	add_retry_after(r, MAX(retry_after_s, 1u));
	http_reply(r, 202, NULL, STR(""), NULL);
}

static void report(struct est *est, const struct http_request *r, struct str actor,
		   const char *reason, uint32_t more)
{
	AUTO_BUF detail = {0};
	if (more)
		rec_int(&detail, "more_before", more);
	const struct body_event event = {
		.detail = buf_view(&detail),
		.actor = actor,
		.address = str_of(http_source(r)),
		.listener = STR("enrol"),
		.reason = str_of(reason),
	};
	report_event(est->report, EVENT_ENROL_REFUSED, &event);
}

void est_reply_lost(struct est *est, struct http_request *r, unsigned status, const char *sentence,
		    const char *allow)
{
	uint32_t more;
	if (fold_passes(&est->lost, str_of(http_source(r)), clock_mono_ms(), &more))
		report(est, r, STR(""), sentence, more);
	est_reply_text(r, status, sentence, 0, allow);
}

void est_reply_empty(struct est *est, struct http_request *r, const char *sentence)
{
	if (fold_reaches(&est->empty, str_of(http_source(r)), clock_mono_ms(), EST_EMPTY_MANY))
		report(est, r, STR(""), "asked again and again and showed nothing",
		       EST_EMPTY_MANY - 1);
	est_reply_text(r, 401, sentence, 0, NULL);
}

void est_refuse(struct est *est, struct http_request *r, unsigned status, struct str actor,
		const struct why *why)
{
	report(est, r, actor, why->text, 0);
	est_reply_text(r, status, why->text, 0, NULL);
}
