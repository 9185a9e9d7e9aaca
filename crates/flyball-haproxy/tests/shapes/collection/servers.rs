//! Fronts, and how servers are addressed and chosen.

use super::{CUTS, DOES_NOT_REACH, IDLE_SERVERS, LOSES, NEW, PLAIN, STATIC, Shape};

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "a backend and nothing else",
        text: "backend web\n  balance leastconn\n",
        ..PLAIN
    },
    Shape {
        name: "roundrobin by default",
        text: "backend web\n  server app1 127.0.0.1:1 check\n  server app2 127.0.0.1:1 check disabled\n",
        advice: &[LOSES, CUTS, IDLE_SERVERS],
        // The configuration's own server is away, so that only the replica answers.
        ..PLAIN
    },
    Shape {
        name: "everything that was ever advised",
        text: "frontend www
  bind {front}
  default_backend web
backend web
  balance leastconn
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response response-timeout
  http-request disable-l7-retry if !METH_GET
  timeout queue 30s
",
        advice: &[CUTS],
        ..PLAIN
    },
    Shape {
        name: "idle-close in defaults",
        since: NEW,
        above: "global
  stats socket {socket} mode 660 level admin
defaults
  mode http
  option idle-close-on-response
  option redispatch
  timeout connect 5s
  timeout client 50s
  timeout server 50s
  retry-on all-retryable-errors
",
        text: "backend web\n  balance leastconn\n",
        advice: &[],
        ..PLAIN
    },
    Shape {
        name: "TLS at the front, and plain HTTP redirected but for one path",
        text: "frontend https
  bind {other} ssl crt {pem} alpn h2,http/1.1
  http-request set-header X-Forwarded-Proto https
  default_backend web
frontend http
  bind {front}
  http-request redirect scheme https unless { path /app }
  default_backend web
backend web
  balance leastconn
  option forwardfor
",
        ..PLAIN
    },
    Shape {
        name: "several backends by host and path",
        text: "frontend www
  bind {front}
  acl is_api path_beg /api/
  acl is_shop hdr(host) -i shop.test
  use_backend api if is_api
  use_backend shop if is_shop
  default_backend web
backend api
  balance roundrobin
  server api1 127.0.0.1:1 check
backend shop
  cookie SRV insert indirect nocache
  server shop1 127.0.0.1:1 cookie s1
backend web
  balance leastconn
",
        ..PLAIN
    },
    Shape {
        name: "backends by a map",
        text: "frontend www
  bind {front}
  use_backend %[req.hdr(host),lower,map_str({folder}/hosts.map,web)]
backend web
  balance leastconn
",
        ..PLAIN
    },
    Shape {
        name: "servers that speak TLS by default-server",
        text: "backend web
  balance leastconn
  default-server ssl verify none
listen replica
  bind {replica} ssl crt {pem}
  http-request return status 200 content-type text/plain string replica
",
        wrong: &["default-server ssl verify none"],
        advice: &[LOSES, CUTS],
        ..PLAIN
    },
    Shape {
        name: "default-server of defaults",
        above: "global
  stats socket {socket} level admin
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
  default-server inter 3s fall 2 rise 3 send-proxy
",
        text: "frontend www
  bind {front}
  default_backend web
backend web
  balance leastconn
listen replica
  bind {replica} accept-proxy
  http-request return status 200 content-type text/plain string replica
",
        wrong: &["send-proxy"],
        ..PLAIN
    },
    Shape {
        name: "servers that speak HTTP/2 without TLS",
        text: "backend web
  balance leastconn
  default-server proto h2
listen replica
  bind {replica} proto h2
  http-request return status 200 content-type text/plain string replica
",
        wrong: &["default-server proto h2"],
        ..PLAIN
    },
    Shape {
        name: "default-server that only tunes",
        text: "backend web
  balance leastconn
  default-server inter 1s fall 2 slowstart 10s maxqueue 50 maxconn 100
",
        advice: &[LOSES, CUTS, DOES_NOT_REACH, "maxconn 100"],
        ..PLAIN
    },
    Shape {
        name: "own servers that speak TLS",
        text: "backend web
  balance leastconn
  server legacy 127.0.0.1:1 ssl verify none check disabled
listen replica
  bind {replica} ssl crt {pem}
  http-request return status 200 content-type text/plain string replica
",
        advice: &[LOSES, CUTS, "configured servers use"],
        ..PLAIN
    },
    Shape {
        name: "options that the service has already",
        text: "backend web
  balance leastconn
  default-server ssl verify none
listen replica
  bind {replica} ssl crt {pem}
  http-request return status 200 content-type text/plain string replica
",
        settings: |settings| settings.server_options.words = "ssl verify none".to_owned(),
        ..PLAIN
    },
    Shape {
        name: "a certificate authority that nothing has loaded",
        since: NEW,
        text: "backend web
  balance leastconn
listen replica
  bind {replica} ssl crt {pem}
  http-request return status 200 content-type text/plain string replica
",
        settings: |settings| {
            settings.server_options.words =
                "ssl verify none ca-file /etc/ssl/certs/ca-certificates.crt".to_owned();
        },
        wrong: &["unable to load"],
        ..PLAIN
    },
    Shape {
        name: "balance source",
        text: "backend web\n  balance source\n",
        wrong: &[STATIC],
        ..PLAIN
    },
    Shape {
        name: "balance uri by a map",
        text: "backend web\n  balance uri\n  hash-type map-based\n",
        wrong: &[STATIC],
        ..PLAIN
    },
    Shape {
        name: "balance uri with a consistent hash",
        text: "backend web\n  balance uri\n  hash-type consistent\n",
        ..PLAIN
    },
    Shape {
        name: "static-rr from defaults",
        above: "global
  stats socket {socket} level admin
defaults
  mode http
  balance static-rr
  timeout connect 5s
  timeout client 50s
  timeout server 50s
",
        text: "backend web\n  option forwardfor\n",
        wrong: &[STATIC],
        ..PLAIN
    },
    Shape { name: "balance random", text: "backend web\n  balance random(2)\n", ..PLAIN },
    Shape {
        name: "balance first without a limit",
        text: "backend web\n  balance first\n",
        advice: &[LOSES, CUTS, "sends everything to one server"],
        ..PLAIN
    },
    Shape {
        name: "a header's hash",
        text: "backend web\n  balance hdr(X-Tenant)\n  hash-type consistent sdbm avalanche\n",
        ..PLAIN
    },
];
