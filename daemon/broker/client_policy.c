/* SPDX-License-Identifier: Apache-2.0
 *
 * Client certificates under a listener's rules: see client_policy.h.
 */
#include "daemon/broker/client_policy.h"
#include "certs/leaf.h"
#include "daemon/base/mem.h"
#include "daemon/base/ref.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	CHAIN_MAX = 2, /* the device's certificate and one authority below the root */
};

struct client_policy {
	struct ref ref;
	enum config_lint lint;
	enum config_device_from from;
	struct crl_set *crl;
};

struct client_policy *client_policy_new(const struct config_listener *l, struct crl_set *crl)
{
	if (!l->client_ca[0])
		return NULL;
	struct client_policy *p = mem_new(struct client_policy);
	ref_init(&p->ref);
	p->lint = l->lint;
	p->from = l->device_from;
	p->crl = crl ? crl_set_ref(crl) : NULL;
	return p;
}

struct client_policy *client_policy_ref(struct client_policy *p)
{
	if (p)
		ref_get(&p->ref);
	return p;
}

void client_policy_unref(struct client_policy *p)
{
	if (!p || !ref_put(&p->ref))
		return;
	if (p->crl)
		crl_set_unref(p->crl);
	free(p);
}

static enum handshake_verdict say(char *why, const char *text, enum handshake_verdict verdict)
{
	if (why)
		snprintf(why, CLIENT_POLICY_WHY, "%.*s", CLIENT_POLICY_WHY - 1, text);
	return verdict;
}

/* A root at the end counts for nothing: it is known or worthless. */
static size_t counted(const struct str *chain, size_t n)
{
	struct leaf last;
	if (n > 1 && leaf_read(chain[n - 1], &last) == 0 && str_eq(last.issuer, last.subject))
		return n - 1;
	return n;
}

static bool revoked(const struct crl_set *crl, const struct str *chain, size_t n)
{
	for (size_t i = 0; crl && i < n; i++) {
		struct leaf leaf;
		if (leaf_read(chain[i], &leaf) == 0 && crl_set_has(crl, leaf.issuer, leaf.serial))
			return true;
	}
	return false;
}

static enum handshake_verdict check(const struct client_policy *p,
				    const struct client_certificate *c, struct leaf *leaf,
				    char *why)
{
	struct why text;
	if (c->chain_n == 0 || leaf_read(c->chain[0], leaf))
		return say(why, "the certificate cannot be read", VERDICT_REFUSED);
	if (revoked(p->crl, c->chain, c->chain_n))
		return say(why, "on the revocation list of its authority", VERDICT_REVOKED);
	if (p->lint == CONFIG_LINT_STRICT && counted(c->chain, c->chain_n) > CHAIN_MAX)
		return say(why, "more than one authority below the root", VERDICT_REFUSED);
	if (leaf_lint(leaf, p->lint == CONFIG_LINT_LEGACY ? LEAF_LEGACY : LEAF_STRICT, &text))
		return say(why, text.text, VERDICT_REFUSED);
	return VERDICT_ALLOW;
}

/* Takes one more name: false when it is the second one that names a device. */
static bool take_name(struct registry *r, struct str name, enum handshake_verdict *verdict,
		      uint64_t *device_id)
{
	uint64_t id;
	const enum handshake_verdict found = registry_named(r, name, &id);
	if (found == VERDICT_UNKNOWN_DEVICE)
		return true;
	if (*verdict != VERDICT_UNKNOWN_DEVICE && *device_id != id)
		return false;
	*verdict = found;
	*device_id = id;
	return true;
}

static enum handshake_verdict by_names(struct registry *r, const struct leaf *leaf,
				       uint64_t *device_id, char *why)
{
	struct cur c = cur_of(leaf->names);
	struct str name;
	enum handshake_verdict verdict = VERDICT_UNKNOWN_DEVICE;
	uint64_t id = 0;
	while (leaf_next_name(&c, &name))
		if (!take_name(r, name, &verdict, &id))
			return say(why, "its alternative names are those of two devices",
				   VERDICT_REFUSED);
	*device_id = id;
	if (verdict == VERDICT_UNKNOWN_DEVICE)
		return say(why, "none of its alternative names is a device", verdict);
	return verdict;
}

static enum handshake_verdict by_common_name(struct registry *r, const struct leaf *leaf,
					     uint64_t *device_id, char *why)
{
	if (leaf->cn_n != 1)
		return say(why, "it has no common name, or several", VERDICT_REFUSED);
	const enum handshake_verdict verdict = registry_named(r, leaf->cn, device_id);
	if (verdict == VERDICT_UNKNOWN_DEVICE)
		return say(why, "its common name is no device", verdict);
	return verdict;
}

static enum handshake_verdict by_mapping(const struct client_policy *p, struct registry *r,
					 const struct leaf *leaf, int64_t now, uint64_t *device_id,
					 char *why)
{
	if (p->from == CONFIG_DEVICE_FROM_FINGERPRINT)
		return say(why, "it is not registered: gatehouse cert import",
			   VERDICT_UNKNOWN_DEVICE);
	if (leaf->not_after <= now)
		return VERDICT_EXPIRED;
	return p->from == CONFIG_DEVICE_FROM_CN ? by_common_name(r, leaf, device_id, why)
						: by_names(r, leaf, device_id, why);
}

enum handshake_verdict client_policy_judge(const struct client_policy *policy, struct registry *r,
					   const struct client_certificate *c, uint64_t *device_id,
					   int64_t *not_after, char *why)
{
	struct leaf leaf = {0};
	if (policy) {
		const enum handshake_verdict first = check(policy, c, &leaf, why);
		if (first != VERDICT_ALLOW)
			return first;
	}
	const enum handshake_verdict known =
		registry_certificate(r, c->fingerprint, c->now, !policy, device_id, not_after);
	if (known != VERDICT_UNKNOWN_DEVICE || !policy)
		return known;
	uint64_t id = 0;
	const enum handshake_verdict mapped = by_mapping(policy, r, &leaf, c->now, &id, why);
	if (id) {
		*device_id = id;
		*not_after = leaf.not_after;
	}
	return mapped;
}
