/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of the API: see api_args.h.
 */
#include "daemon/web/api_args.h"
#include "certs/csr.h"
#include "certs/leaf.h"
#include "certs/pem.h"
#include "daemon/base/err.h"
#include "daemon/web/caller.h"

#include <stdio.h>
#include <string.h>

struct query {
	const struct op_spec *spec;
	struct buf *args;
	struct json_problem *problem;
	int err;
};

static bool take_query(void *arg, struct str name, struct str value)
{
	struct query *q = arg;
	q->err = json_arg_text(q->spec, name, value, q->args, q->problem);
	return q->err == 0;
}

static int take_path(const struct router_match *m, const struct op_spec *spec, struct buf *args,
		     struct json_problem *problem)
{
	for (size_t i = 0; i < m->params; i++) {
		AUTO_BUF value = {0};
		int err = http_decode(m->value[i], false, &value);
		if (err)
			snprintf(problem->why, sizeof(problem->why),
				 "%.*s: a %% in the path must stand before two hexadecimal digits",
				 STR_ARG(m->name[i]));
		else
			err = json_arg_text(spec, m->name[i], buf_view(&value), args, problem);
		if (err)
			return err;
	}
	return 0;
}

/* If-Match: the ETag that api_etag made (api_reply.h). */
static int take_condition(const struct http_request *r, const struct op_spec *spec,
			  struct buf *args, struct json_problem *problem)
{
	struct str tag = str_trim(http_header(r, "If-Match"));
	if (tag.n == 0 || str_is(tag, "*"))
		return 0;
	if (tag.n > 2 && tag.p[0] == '"' && tag.p[tag.n - 1] == '"')
		tag = str_make(tag.p + 1, tag.n - 2);
	return json_arg_text(spec, STR("version"), tag, args, problem);
}

static int take_body(const struct http_request *r, const struct op_spec *spec, struct buf *args,
		     struct json_problem *problem)
{
	json_error_t error;
	const struct str body = http_body(r);
	if (str_trim(body).n == 0)
		return 0;
	json_t *j = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(j)) {
		snprintf(problem->why, sizeof(problem->why),
			 j ? "the body must be a JSON object" : "the body is not JSON: line %d: %s",
			 error.line, error.text);
		json_decref(j);
		return ERR_INVALID;
	}
	const int err = json_args(spec, j, args, problem);
	json_decref(j);
	return err;
}

/* Cuts a text argument out: false when there is none. The text stays valid in *text. */
static bool cut_text(struct buf *args, const char *name, struct buf *text)
{
	struct cur c = cur_of(buf_view(args));
	struct rec_value v;
	struct str found;
	if (!rec_get_str(buf_view(args), name, &found))
		return false;
	buf_str(text, found);
	while (rec_next(&c, &v) && !str_is(v.name, name))
		;
	/* A text value is the last thing that rec_next read: cut it out, with its head. */
	const size_t end = (size_t)((const char *)c.p - args->p);
	const size_t begin = end - (2 + v.name.n + 4 + v.text.n);
	memmove(args->p + begin, args->p + end, args->n - end);
	args->n -= end - begin;
	return true;
}

static int refuse_field(struct json_problem *problem, const char *field, const struct why *why)
{
	snprintf(problem->field, sizeof(problem->field), "%s", field);
	snprintf(problem->why, sizeof(problem->why), "%s", why->text);
	return ERR_INVALID;
}

/* Replaces the argument csr by what the store and the vault may see of it: the public key and the
 * name. */
static int replace_csr(struct buf *args, struct json_problem *problem)
{
	AUTO_BUF text = {0};
	struct csr csr;
	struct why why = {0};
	if (!cut_text(args, "csr", &text))
		return 0;
	if (csr_parse(buf_view(&text), &csr, &why))
		return refuse_field(problem, "csr", &why);
	rec_bytes(args, "spki", csr_spki(&csr));
	rec_text(args, "csr-name", csr.name);
	return 0;
}

/* Replaces the argument certificate by the DER of the one certificate in it. */
static int replace_certificate(struct buf *args, struct json_problem *problem)
{
	AUTO_BUF text = {0};
	AUTO_BUF der = {0};
	struct leaf leaf;
	struct why why = {0};
	if (!cut_text(args, "certificate", &text))
		return 0;
	if (leaf_parse(buf_view(&text), &der, &leaf, &why))
		return refuse_field(problem, "certificate", &why);
	rec_bytes(args, "certificate", buf_view(&der));
	return 0;
}

/* Replaces the argument authority by its DER: one certificate that may sign others. */
static int replace_authority(struct buf *args, struct json_problem *problem)
{
	AUTO_BUF text = {0};
	AUTO_BUF der = {0};
	struct leaf leaf;
	struct str label;
	struct why why = {0};
	if (!cut_text(args, "authority", &text))
		return 0;
	struct str rest = buf_view(&text);
	if (pem_next(&rest, &label, &der) || leaf_read(buf_view(&der), &leaf) || !leaf.ca) {
		why_text(&why, "what was given is no certificate of an authority (CA:TRUE) in PEM");
		return refuse_field(problem, "authority", &why);
	}
	rec_bytes(args, "authority", buf_view(&der));
	return 0;
}

int api_args(struct http_request *r, const struct router_match *m, struct buf *args,
	     struct json_problem *problem)
{
	const struct op_spec *spec = op_spec(m->op);
	struct query q = {spec, args, problem, 0};
	int err = take_path(m, spec, args, problem);
	if (!err && (m->op == OP_SESSION_ADD || m->op == OP_SETUP_ADD))
		rec_str(args, "agent", caller_agent(r));
	if (!err)
		http_each_query(r, take_query, &q);
	if (!err)
		err = q.err;
	if (!err)
		err = take_condition(r, spec, args, problem);
	if (!err)
		err = take_body(r, spec, args, problem);
	if (!err)
		err = json_args_complete(spec, buf_view(args), problem);
	if (!err)
		err = replace_csr(args, problem);
	if (!err)
		err = replace_certificate(args, problem);
	if (!err)
		err = replace_authority(args, problem);
	return err;
}
