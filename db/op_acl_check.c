/* SPDX-License-Identifier: Apache-2.0
 *
 * acl.check: may a device do this, and why? See op_acl.h. Main thread of the store.
 *
 * It compiles the rules of the device's subjects (acl_view.h), saved or as a draft would make them,
 * and asks the broker's own evaluator (acl_explain), so that the answer is the one of the data
 * path.
 */
#include "daemon/base/err.h"
#include "db/acl_view.h"
#include "db/op_acl.h"
#include "db/op_device.h"

enum { QOS_MAX = 2 };

struct question {
	struct acl_view view;
	struct acl_how how;
	enum acl_action action;
	struct str topic;
	int64_t device_id;
	bool has_address;
	struct addr address;
};

static void question_fini(struct question *q)
{
	acl_view_fini(&q->view);
}
#define AUTO_QUESTION __attribute__((cleanup(question_fini))) struct question

/* ---- arguments ---- */

static bool take_action(struct op_call *c, struct question *q)
{
	static const enum acl_action all[] = {ACL_PUBLISH, ACL_SUBSCRIBE, ACL_RECEIVE};
	struct str word;
	op_str(c, "action", &word);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (!str_is(word, acl_action_name(all[i])))
			continue;
		q->action = all[i];
		return true;
	}
	op_refuse(c, OP_INVALID, "action",
		  "\"%.*s\" is no action; allowed are publish, subscribe and receive",
		  STR_ARG(word));
	return false;
}

/* The topic of a message has no wildcards; to subscribe it is a filter. */
static bool take_topic(struct op_call *c, struct question *q)
{
	op_str(c, "topic", &q->topic);
	const struct str plain = q->action == ACL_SUBSCRIBE ? filter_unshared(q->topic) : q->topic;
	const char *wrong = plain.p ? filter_check(plain) : "malformed $share";
	if (!wrong && q->action != ACL_SUBSCRIBE && filter_is_wild(plain))
		wrong = "a topic has no wildcards; ask for subscribe";
	if (!wrong)
		return true;
	op_refuse(c, OP_INVALID, "topic", "\"%.*s\" cannot be asked about: %s", STR_ARG(q->topic),
		  wrong);
	return false;
}

static bool take_how(struct op_call *c, struct question *q)
{
	int64_t qos = 0;
	op_int(c, "qos", &qos);
	op_bool(c, "retain", &q->how.retain);
	if (qos > QOS_MAX) {
		op_refuse(c, OP_INVALID, "qos", "qos is %lld; allowed is 0 to 2", (long long)qos);
		return false;
	}
	q->how.qos = (uint8_t)qos;
	return true;
}

static bool take_address(struct op_call *c, struct question *q)
{
	struct str text;
	if (!op_str(c, "address", &text))
		return true;
	q->has_address = addr_parse_ip(text, &q->address) == 0;
	if (q->has_address)
		return true;
	op_refuse(c, OP_INVALID, "address",
		  "\"%.*s\" is no address; write it like 10.1.2.3 or 2001:db8::1", STR_ARG(text));
	return false;
}

/* ---- the answer ---- */

/* What nobody has saved counts downwards from -1, by its line. */
static int64_t rule_number(uint64_t id)
{
	return id >= ACL_DRAFT ? -(int64_t)(id - ACL_DRAFT) : (int64_t)id;
}

static void put_variables(const struct question *q, struct buf *out)
{
	rec_object(out, "variables");
	rec_str(out, "clientid", q->view.who.clientid);
	rec_str(out, "device", q->view.who.device);
	op_put_str(out, "cn", q->view.who.cn);
	rec_list(out, "san");
	for (size_t i = 0; i < q->view.who.san_n; i++)
		rec_str(out, "", str_is_utf8(q->view.who.san[i]) ? q->view.who.san[i] : STR("?"));
	rec_end(out);
	rec_list(out, "group");
	for (size_t i = 0; i < q->view.who.group_n; i++)
		rec_str(out, "", q->view.who.group[i]);
	rec_end(out);
	char address[ADDR_TEXT];
	if (q->view.who.address)
		rec_text(out, "address", addr_format_ip(q->view.who.address, address));
	else
		rec_null(out, "address");
	rec_end(out);
}

/* "decides", "meets" (a part of the filter), "matches" (too late), "condition" or "differs". */
static const char *part_of(const struct acl_reason *r)
{
	if (r->decided)
		return "decides";
	switch (r->why) {
	case ACL_WHY_MATCHED:
		return "matches";
	case ACL_WHY_MEETS:
		return "meets";
	case ACL_WHY_QOS:
	case ACL_WHY_RETAIN:
	case ACL_WHY_NETWORK:
		return "condition";
	default:
		return "differs";
	}
}

static void put_reason(const struct question *q, const struct acl_reason *r, struct buf *out)
{
	AUTO_BUF rule = {0};
	AUTO_BUF because = {0};
	acl_rule_format(r->rule, &rule);
	acl_reason_format(r, &q->view.who, q->how, &because);
	rec_object(out, "");
	rec_int(out, "rule", rule_number(r->rule->id));
	rec_text(out, "part", part_of(r));
	rec_bool(out, "reached", r->reached);
	if (r->why == ACL_WHY_FILTER && r->miss.level)
		rec_int(out, "level", r->miss.level);
	else
		rec_null(out, "level");
	rec_str(out, "text", buf_view(&rule));
	rec_str(out, "because", buf_view(&because));
	rec_end(out);
}

static void put_answer(const struct question *q, const struct acl_explanation *e, struct buf *out)
{
	static const char *const word[] = {[ACL_DENIED] = "denied",
					   [ACL_GRANTED] = "allowed",
					   [ACL_PARTIAL] = "allowed in part"};
	rec_str(out, "device", q->view.who.device);
	rec_text(out, "action", acl_action_name(q->action));
	rec_str(out, "topic", q->topic);
	rec_text(out, "verdict", word[e->grant]);
	if (e->verdict.rule)
		rec_int(out, "rule", rule_number(e->verdict.rule));
	else
		rec_null(out, "rule");
	put_variables(q, out);
	rec_list(out, "reasons");
	for (size_t i = 0; i < e->n; i++)
		put_reason(q, &e->reason[i], out);
	rec_end(out);
}

static void answer(struct op_call *c, const struct question *q)
{
	struct acl_explanation e;
	struct acl_set *set;
	struct why why;
	if (acl_set_new(q->view.rule, q->view.n, &set, &why)) {
		op_refuse(c, OP_FAILED, NULL, "the rules cannot be used: %s", why.text);
		return;
	}
	acl_explain(set, &q->view.who, q->action, q->topic, q->how, &e);
	put_answer(q, &e, &c->result);
	device_put_barred(c->s, q->device_id, &c->result);
	acl_explanation_fini(&e);
	acl_set_unref(set);
	op_done(c);
}

void op_acl_check(struct op_call *c)
{
	AUTO_QUESTION q = {0};
	AUTO_ACL_DRAFT draft = {0};
	struct str device;
	struct str clientid;
	op_str(c, "device", &device);
	if (!op_find_device(c, "device", device, &q.device_id) || !take_action(c, &q) ||
	    !take_topic(c, &q) || !take_how(c, &q) || !take_address(c, &q) ||
	    !acl_draft_take(c, &draft))
		return;
	if (!op_str(c, "client-id", &clientid))
		clientid = device;
	acl_view_take(c->s, q.device_id, device, clientid, q.has_address ? &q.address : NULL,
		      &draft, &q.view);
	answer(c, &q);
}
