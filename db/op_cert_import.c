/* SPDX-License-Identifier: Apache-2.0
 *
 * cert.import: registers a certificate that another authority issued, so that it opens a device on
 * listeners that trust that authority. See op_cert.h. Main thread of the store.
 *
 * Whether its signatures hold is for the listener to say, at each handshake; here it is a
 * fingerprint. The web process has judged it (leaf_parse); the store reads it again and judges what
 * only the registry knows: its key, its device, who else has it.
 */
#include "certs/leaf.h"
#include "db/authorities.h"
#include "db/hash.h"
#include "db/issue.h"
#include "db/op_cert.h"
#include "db/registry.h"

struct import {
	struct str der;
	struct leaf leaf;
	unsigned char fp[SHA256_SIZE];
	int64_t device_id;
};

static struct str fingerprint(const struct import *i)
{
	return str_make(i->fp, sizeof(i->fp));
}

/* Not one of our own: those come from the vault, and an unknown one is a forgery. */
static bool check_issuer(struct op_call *c, const struct import *i)
{
	const struct certificate cert = {.issuer = i->leaf.issuer};
	if (!authorities_issuer(c->s, &cert))
		return true;
	op_refuse(c, OP_REFUSED, "certificate",
		  "it says that this gateway issued it, and the gateway does not know it: issue "
		  "another with cert add");
	return false;
}

static bool check_new(struct op_call *c, const struct import *i)
{
	AUTO_QUERY q =
		SQL_QUERY(c->s->registry,
			  "SELECT coalesce(device.name, cert.name), cert.status FROM cert LEFT "
			  "JOIN device ON device.id = cert.device_id WHERE fp = ?",
			  sql_blob(fingerprint(i)));
	if (!sql_next(&q))
		return true;
	const struct str owner = sql_at_str(&q, 0);
	if (sql_at_int(&q, 1) == CERT_GOOD)
		op_refuse(c, OP_CONFLICT, "certificate",
			  "it is registered already, for device \"%.*s\"", STR_ARG(owner));
	else
		op_refuse(c, OP_REFUSED, "certificate",
			  "it was registered for device \"%.*s\" and then revoked: it cannot come "
			  "back",
			  STR_ARG(owner));
	return false;
}

static bool check(struct op_call *c, struct import *i)
{
	struct why why;
	if (leaf_read(i->der, &i->leaf) || leaf_lint(&i->leaf, LEAF_LEGACY, &why)) {
		op_refuse(c, OP_INVALID, "certificate", "this is no certificate of a device");
		return false;
	}
	hash_sha256(i->der, i->fp);
	if (!check_new(c, i) || !check_issuer(c, i) ||
	    !issue_check_key(c, "certificate", i->leaf.spki, i->device_id))
		return false;
	if (i->leaf.not_after > timefloor_now(&c->s->floor))
		return true;
	op_refuse(c, OP_REFUSED, "certificate", "it has expired: it would open nothing");
	return false;
}

static void insert(struct op_call *c, const struct import *i, struct str device)
{
	struct sql *db = c->s->registry;
	const struct leaf *leaf = &i->leaf;
	char hex[2 * SHA256_SIZE + 1];
	AUTO_BUF detail = {0};
	/* A name that is not text is none; it only serves people. */
	const struct str name = str_is_utf8(leaf->cn) ? leaf->cn : STR("");
	change_begin(c);
	SQL_RUN(db,
		"INSERT INTO cert(fp, serial, device_id, name, spki, der, profile, not_before, "
		"not_after, issued_at, issued_by, via, status) "
		"VALUES(?, ?, ?, ?, ?, ?, 'device', ?, ?, ?, ?, 'import', 0)",
		sql_blob(fingerprint(i)), sql_blob(leaf_serial(leaf)), sql_int(i->device_id),
		sql_str(name), sql_blob(leaf->spki), sql_blob(i->der), sql_int(leaf->not_before),
		sql_int(leaf->not_after), sql_int(timefloor_now(&c->s->floor)), sql_text(c->actor));
	const int64_t id = sql_last_id(db);
	registry_put_cert(db, id, &c->change.entries);
	rec_bytes(&detail, "fingerprint", fingerprint(i));
	rec_bytes(&detail, "serial", leaf_serial(leaf));
	change_event(c, EVENT_CERTIFICATE_IMPORTED, i->device_id, device, buf_view(&detail));
	cert_put(c->s, id, &c->result);
	hex_encode(i->fp, sizeof(i->fp), hex);
	change_revision(c, "cert", str_of(hex), STR(""), buf_view(&c->result));
	change_commit(c);
}

void op_cert_import(struct op_call *c)
{
	struct import i = {0};
	struct str device;
	op_str(c, "device", &device);
	op_str(c, "certificate", &i.der);
	if (op_find_device(c, "device", device, &i.device_id) && check(c, &i))
		insert(c, &i, device);
}
