/* SPDX-License-Identifier: Apache-2.0
 *
 * What the broker's threads see of the configuration: one immutable, reference-counted snapshot
 * with its listeners and their TLS credentials. A reload makes a new one and hands it to each
 * worker; a connection keeps the one that it was accepted under. Made and swapped by the control
 * thread, read by all.
 */
#pragma once

#include "daemon/base/ref.h"
#include "daemon/broker/client_policy.h"
#include "daemon/conf/config.h"
#include "daemon/net/limit.h"
#include "daemon/net/tls_credentials.h"

struct endpoint {
	const struct config_listener *config;
	struct tls_credentials *credentials; /* NULL without TLS */
	struct client_policy *policy;        /* of client certificates; NULL: the registry alone */
	struct limit *limit; /* of this listener alone, NULL = none; outlives the snapshot */
};

struct settings {
	struct ref ref;
	struct config *config;
	struct endpoint *endpoint;
	size_t endpoints;
};

/* Takes the configuration; the endpoints have no credentials and no limits yet. */
struct settings *settings_new(struct config *config);
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s);
DEFINE_AUTO(settings, settings_unref)
/* The listener of that name; NULL when the configuration has none. */
const struct endpoint *settings_endpoint(const struct settings *s, struct str name);
/* How long certificates of our own count beyond their end: see registry_set_grace. */
int64_t settings_grace(const struct settings *s);
/* The bounds of limit.h as the configuration states them. */
struct limit_settings settings_limits(const struct settings *s);
