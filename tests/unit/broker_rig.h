/* SPDX-License-Identifier: Apache-2.0
 *
 * A broker process between socketpairs: this program plays the parent and the store, and clients
 * that speak MQTT over TCP on 127.0.0.1. For the unit tests of the broker.
 */
#pragma once

#include "daemon/base/events.h"
#include "daemon/ipc/spool.h"
#include "daemon/mqtt/packet.h"

#include <pthread.h>
#include <sys/types.h>

enum { RIG_EVENTS = 4096, RIG_CLIENTS = 64, RIG_WORKERS_MAX = 2 };

struct rig_event {
	enum event event;
	uint64_t device_id;
	char actor[65];
	char client_id[65];
	char reason[257];
	char detail[512];
	size_t detail_n;
};

/* A worker's link to the spool, as this program plays it. */
struct rig_spool {
	struct rig *rig;
	int sock;
	pthread_t thread;
	bool holds;                        /* answers nothing now */
	bool held;                         /* it has a batch without an answer */
	uint32_t refuses;                  /* batches that have one of these kinds, as bits */
	size_t largest;                    /* bytes of a batch */
	struct buf sids;                   /* sessions that it knows, 64 bits each */
	unsigned refused;                  /* batches */
	unsigned stored[SPOOL_KIND_COUNT]; /* records; QUEUE: of sessions that it knows */
};

struct rig {
	pid_t pid;
	int parent;
	int store;
	uint16_t port;
	pthread_t thread; /* plays the store */
	unsigned workers;
	struct rig_spool spool[RIG_WORKERS_MAX];
	struct buf spooled; /* records that it has at the broker's start */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct buf snapshot; /* entries */
	uint64_t seq;
	struct rig_event event[RIG_EVENTS];
	size_t events;
	uint64_t delta_done;          /* seq of the last DELTA_DONE */
	uint32_t closed;              /* and how many it closed */
	size_t presence;              /* PRESENCE messages */
	uint64_t handle[RIG_CLIENTS]; /* clients said to be there */
	size_t present;
	int deaf;        /* the store does not answer logins */
	unsigned spoilt; /* so many snapshots cannot be read */
};

/* Entries for the snapshot, or for rig_delta. */
void rig_device(struct buf *b, uint64_t id, const char *name, bool enabled, const char *group);
void rig_rule(struct buf *b, uint64_t id, const char *group_or_null, bool allow, unsigned actions,
	      const char *filter);
void rig_rule_gone(struct buf *b, uint64_t id);

/* Starts a broker of one or two workers with these settings ("broker.key=value
 * listener.here.key=value ...") and one listener named here, without TLS; snapshot entries are
 * taken from r->snapshot. Returns when it is ready. Password of every device: "secret". */
void rig_start(struct rig *r, unsigned workers, const char *settings);
void rig_stop(struct rig *r); /* orderly; checks that it ends with status 0 */
/* Sends a change and waits for the answer; returns how many connections it closed. */
uint32_t rig_delta(struct rig *r, const struct buf *entries);
uint32_t rig_kick(struct rig *r, const char *client_id);
void rig_notice(struct rig *r, uint64_t device_id, const char *topic, const char *payload);
/* Waits until an event of that kind whose reason contains the text has come; takes it. */
struct rig_event rig_event(struct rig *r, enum event event, const char *reason);

/* What the spool does with batches of that worker from now on, see struct rig_spool. */
void rig_spool_set(struct rig *r, unsigned worker, bool holds, uint32_t refuses);
/* Waits until it has a batch that it does not answer. */
void rig_spool_wait_held(struct rig *r, unsigned worker);
/* Waits until the spool has stored so many records of that kind from that worker. */
void rig_spool_wait(struct rig *r, unsigned worker, enum spool_kind kind, unsigned n);
void rig_spool_lost(struct rig *r); /* it has lost everything, and says so */

size_t rig_count(struct rig *r, enum event event); /* events of that kind, not yet taken */
/* Waits until the client list that the store was told has n clients. */
void rig_wait_present(struct rig *r, size_t n);
void rig_store_dies(struct rig *r);
void rig_store_returns(struct rig *r);
/* Whether the broker took the changed configuration. */
bool rig_reload(struct rig *r, unsigned workers, const char *settings);

/* A client. Everything blocks, 10 s at most, and fails the test that waits longer. */
struct client {
	int fd;
	enum mqtt_version version;
	struct buf in;
	struct arena arena;
	size_t taken; /* bytes of the last packet, still in `in` */
};

void client_open(struct client *c, const struct rig *r, enum mqtt_version version);
void client_send(struct client *c, const struct packet *p);
void client_bytes(struct client *c, const void *p, size_t n);
/* The next packet; valid until the next call. */
struct packet client_receive(struct client *c);
/* True when the broker closed the connection (nothing came before). */
bool client_closed(struct client *c);
/* True when nothing comes: answers a PINGREQ first, so all that was under way has arrived. */
bool client_quiet(struct client *c);
void client_close(struct client *c);

/* CONNECT and the CONNACK that must come; the reason of it. */
struct connect_options {
	const char *client_id;
	const char *user; /* NULL: none */
	const char *password;
	bool dirty; /* clean start off */
	uint32_t expiry;
	uint16_t keep_alive;
	uint16_t receive_maximum; /* 0: not said */
	uint32_t packet_max;      /* 0: not said */
	const char *will_topic;
	uint32_t will_delay;
};
struct packet client_connect(struct client *c, const struct connect_options *o);
/* Opens, connects and demands success. */
void client_join(struct client *c, const struct rig *r, enum mqtt_version version,
		 const struct connect_options *o);
/* Subscribes to one filter; the code of the SUBACK. */
unsigned client_subscribe(struct client *c, const char *filter, uint8_t qos);
void client_publish(struct client *c, const char *topic, const char *payload, uint8_t qos,
		    uint16_t packet_id);
/* Demands a PUBLISH of these; returns its packet identifier. Acknowledges nothing. */
struct packet client_expect(struct client *c, const char *topic, const char *payload, uint8_t qos);
void client_ack(struct client *c, enum packet_type type, uint16_t packet_id);
