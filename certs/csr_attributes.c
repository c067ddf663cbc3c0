/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes of certification requests: see csr_attributes.h.
 */
#include "certs/csr_attributes.h"
#include "certs/csr_parts.h"
#include "certs/der.h"
#include "certs/leaf.h"
#include "daemon/base/err.h"

#define OID_CHALLENGE_PASSWORD  "1.2.840.113549.1.9.7"
#define OID_EXTENSION_REQUEST   "1.2.840.113549.1.9.14"
#define OID_ALTERNATIVE_NAME    "2.5.29.17"
#define OID_CHANGE_SUBJECT_NAME "1.3.6.1.5.5.7.7.36"
#define OID_DECRYPT_KEY         "1.2.840.113549.1.9.16.2.37"
#define OID_ASYMMETRIC_DECRYPT  "1.2.840.113549.1.9.16.2.54"
#define OID_EC_PUBLIC_KEY       "1.2.840.10045.2.1"
#define OID_P256                "1.2.840.10045.3.1.7"
#define OID_ECDSA_SHA256        "1.2.840.10045.4.3.2"

/* One value in the set; the text of it. */
static bool read_challenge(struct cur set, struct csr_attributes *out)
{
	const struct der value = der_read(&set);
	if (!cur_done(&set) || !csr_is_text(value.tag) || value.body.n == 0 || out->challenge.n)
		return false;
	out->challenge = value.body;
	return true;
}

static bool read_names(struct str extension, struct csr_attributes *out)
{
	struct cur c = cur_of(extension);
	const struct str names = der_get(&c, DER_SEQUENCE);
	if (!cur_done(&c) || out->has_names)
		return false;
	out->has_names = true;
	out->names = names;
	return true;
}

static bool read_extensions(struct cur set, struct csr_attributes *out)
{
	struct cur list = der_open(&set, DER_SEQUENCE);
	bool ok = true;
	while (ok && cur_left(&list)) {
		struct cur extension = der_open(&list, DER_SEQUENCE);
		const struct str oid = der_get(&extension, DER_OID);
		if (der_peek(&extension) == DER_BOOLEAN)
			der_get(&extension, DER_BOOLEAN);
		const struct str value = der_get(&extension, DER_OCTET_STRING);
		ok = cur_done(&extension);
		if (ok && der_oid_is(oid, OID_ALTERNATIVE_NAME))
			ok = read_names(value, out);
	}
	return ok && cur_done(&list) && cur_done(&set);
}

static bool read_attribute(struct cur *attributes, struct csr_attributes *out)
{
	struct cur attribute = der_open(attributes, DER_SEQUENCE);
	const struct str oid = der_get(&attribute, DER_OID);
	const struct cur set = der_open(&attribute, DER_SET);
	if (!cur_done(&attribute))
		return false;
	if (der_oid_is(oid, OID_CHALLENGE_PASSWORD))
		return read_challenge(set, out);
	if (der_oid_is(oid, OID_EXTENSION_REQUEST))
		return read_extensions(set, out);
	out->change_name = out->change_name || der_oid_is(oid, OID_CHANGE_SUBJECT_NAME);
	out->wants_encrypted_key = out->wants_encrypted_key || der_oid_is(oid, OID_DECRYPT_KEY) ||
				   der_oid_is(oid, OID_ASYMMETRIC_DECRYPT);
	return true;
}

int csr_attributes_read(struct str der, struct csr_attributes *out, struct why *why)
{
	struct csr_parts parts;
	struct csr_attributes found = {0};
	const int err = csr_take_apart(der, &parts, why);
	if (err)
		return err;
	found.subject = parts.subject;
	while (cur_left(&parts.attributes))
		if (!read_attribute(&parts.attributes, &found))
			return why_set(why, ERR_MALFORMED,
				       "the attributes of the request are damaged, or one of them "
				       "stands there twice");
	*out = found;
	return 0;
}

static bool same_value(const struct der *a, const struct der *b)
{
	const bool same_type = csr_is_text(a->tag) ? csr_is_text(b->tag) : a->tag == b->tag;
	return same_type && str_eq(a->body, b->body);
}

static bool same_pair(struct cur *a, struct cur *b)
{
	struct cur pair_a = der_open(a, DER_SEQUENCE);
	struct cur pair_b = der_open(b, DER_SEQUENCE);
	const struct str oid_a = der_get(&pair_a, DER_OID);
	const struct str oid_b = der_get(&pair_b, DER_OID);
	const struct der value_a = der_read(&pair_a);
	const struct der value_b = der_read(&pair_b);
	return cur_done(&pair_a) && cur_done(&pair_b) && str_eq(oid_a, oid_b) &&
	       same_value(&value_a, &value_b);
}

static bool same_set(struct cur *a, struct cur *b)
{
	struct cur set_a = der_open(a, DER_SET);
	struct cur set_b = der_open(b, DER_SET);
	while (cur_left(&set_a) && cur_left(&set_b))
		if (!same_pair(&set_a, &set_b))
			return false;
	return cur_done(&set_a) && cur_done(&set_b);
}

bool csr_same_subject(struct str a, struct str b)
{
	struct cur whole_a = cur_of(a);
	struct cur whole_b = cur_of(b);
	struct cur name_a = der_open(&whole_a, DER_SEQUENCE);
	struct cur name_b = der_open(&whole_b, DER_SEQUENCE);
	while (cur_left(&name_a) && cur_left(&name_b))
		if (!same_set(&name_a, &name_b))
			return false;
	return cur_done(&name_a) && cur_done(&name_b) && cur_done(&whole_a) && cur_done(&whole_b);
}

int csr_renews(const struct csr_attributes *request, struct str certificate, struct why *why)
{
	struct leaf leaf;
	if (leaf_read(certificate, &leaf))
		return why_set(why, ERR_MALFORMED, "the current certificate cannot be read");
	if (request->change_name)
		return why_set(why, ERR_INVALID, "a renewal cannot change the name of the device");
	if (!csr_same_subject(request->subject, leaf.subject))
		return why_set(why, ERR_INVALID,
			       "the subject of the request is not that of the current certificate");
	if (request->has_names && !str_eq(request->names, leaf.names))
		return why_set(why, ERR_INVALID,
			       "the subject alternative name of the request is not that of the "
			       "current certificate");
	return 0;
}

void csr_attributes_wanted(bool binding, struct buf *out)
{
	const size_t all = der_begin(out, DER_SEQUENCE);
	const size_t key = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, OID_EC_PUBLIC_KEY);
	const size_t curves = der_begin(out, DER_SET);
	der_put_oid(out, OID_P256);
	der_end(out, curves);
	der_end(out, key);
	der_put_oid(out, OID_ECDSA_SHA256);
	if (binding)
		der_put_oid(out, OID_CHALLENGE_PASSWORD);
	der_end(out, all);
}
