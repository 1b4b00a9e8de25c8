#pragma once
/*
 * What the docker client's own files say ($DOCKER_CONFIG, else ~/.docker). A file that is not there, or is
 * not what it should be, is docker's to complain about: here it says nothing. 'lookup' is of getenv's kind.
 */
struct json_object;

/* The daemon's address as docker would find it, by DOCKER_HOST, else the context that DOCKER_CONTEXT or
 * config.json names; "" for its usual one. NULL: out of memory. Caller frees. */
char *docker_config_host(const char *(*lookup)(const char *name));

/* The "proxies" of that daemon, or the default ones (CN-112): "httpProxy", "httpsProxy", "noProxy". NULL
 * when there are none. Caller puts. */
struct json_object *docker_config_proxies(const char *(*lookup)(const char *name));
