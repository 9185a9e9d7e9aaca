//! Stick tables, checks, modes, sockets, and what else such files contain.

use flyball_haproxy::Checks;

use super::{BARE, CUTS, IDLE_SERVERS, LOSES, PLAIN, Shape};

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "clients kept by a cookie",
        text: "backend web
  balance leastconn
  cookie SERVERID insert indirect nocache
  server old 127.0.0.1:1 cookie old disabled
",
        wrong: &["keeps clients on a server by a cookie"],
        ..PLAIN
    },
    Shape {
        name: "clients kept by a stick table",
        text: "backend web
  balance leastconn
  stick-table type ip size 100k expire 30m
  stick on src
",
        advice: &[LOSES, CUTS, "keeps clients on a draining server"],
        ..PLAIN
    },
    Shape {
        name: "a stick table that only counts",
        text: "frontend www
  bind {front}
  stick-table type ip size 100k expire 30s store http_req_rate(10s)
  http-request track-sc0 src
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1000 }
  default_backend web
backend web
  balance leastconn
",
        ..PLAIN
    },
    Shape {
        name: "peers and a table of theirs",
        text: "peers cluster
  peer {host} {other}
  peer away 127.0.0.1:1
frontend www
  bind {front}
  http-request track-sc0 src table limits
  default_backend web
backend limits
  stick-table type ip size 10k expire 1m store conn_cur
backend web
  balance leastconn
",
        ..PLAIN
    },
    Shape {
        name: "resolvers and server-template",
        text: "resolvers docker
  nameserver dns 127.0.0.1:1
  hold valid 1s
backend web
  balance leastconn
  server-template app 3 app.invalid:80 check resolvers docker init-addr none disabled
",
        ..PLAIN
    },
    Shape {
        name: "a check without a path",
        text: "backend web\n  balance leastconn\n  option httpchk\n",
        advice: &[LOSES, CUTS, "sends `OPTIONS /`"],
        ..PLAIN
    },
    Shape {
        name: "a check in the new way",
        text: "backend web
  balance leastconn
  option httpchk
  http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host web.test
  http-check expect status 200
",
        ..PLAIN
    },
    Shape {
        name: "a check that is never made",
        text: "backend web\n  balance leastconn\n  option httpchk\n",
        settings: |settings| settings.server_options.checks = Checks::Never,
        ..PLAIN
    },
    Shape {
        name: "mode tcp",
        above: BARE,
        text: "defaults
  mode tcp
  timeout connect 5s
  timeout client 50s
  timeout server 50s
frontend db
  bind {front}
  default_backend web
backend web
  balance leastconn
  option redispatch
",
        advice: &[],
        ..PLAIN
    },
    Shape {
        name: "no mode at all, which is tcp",
        above: BARE,
        text: "frontend db
  bind {front}
  timeout client 50s
  default_backend web
backend web
  timeout connect 5s
  timeout server 50s
  balance leastconn
",
        advice: &[LOSES],
        ..PLAIN
    },
    Shape {
        name: "a listen section",
        text: "listen web
  bind {front}
  balance roundrobin
  option forwardfor
",
        advice: &[LOSES, CUTS, IDLE_SERVERS],
        ..PLAIN
    },
    Shape {
        name: "a userlist and a page of statistics",
        text: "userlist admins
  user admin insecure-password secret
frontend www
  bind {front}
  http-request auth realm web if { path_beg /admin } !{ http_auth(admins) }
  default_backend web
listen stats
  bind {other}
  stats enable
  stats uri /
  stats auth admin:secret
backend web
  balance leastconn
",
        ..PLAIN
    },
    Shape {
        name: "several sockets, threads and a hard stop",
        above: "global
  nbthread 2
  hard-stop-after 30s
  stats socket {folder}/user.sock mode 666 level user
  stats socket {socket} mode 660 level admin expose-fd listeners
  stats socket ipv4@{third} level admin
  tune.ssl.default-dh-param 2048
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
",
        text: "backend web\n  balance leastconn\n",
        ..PLAIN
    },
    Shape {
        name: "a socket for looking only",
        above: "global
  stats socket {socket} mode 660 level operator
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
",
        text: "backend web\n  balance leastconn\n",
        wrong: &["has level operator"],
        ..PLAIN
    },
    Shape {
        name: "a socket without a level",
        above: "global
  stats socket {socket}
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
",
        text: "backend web\n  balance leastconn\n",
        wrong: &["has level operator"],
        ..PLAIN
    },
    Shape {
        name: "another backend than the one that is meant",
        text: "frontend www
  bind {front}
  use_backend other if { path /other }
  default_backend pool
backend pool
  balance leastconn
backend other
  server a 127.0.0.1:1
",
        backend: "pool",
        ..PLAIN
    },
    Shape {
        name: "limits of servers without a queue's",
        text: "backend web\n  balance leastconn\n  fullconn 1000\n",
        settings: |settings| settings.server_options.slots = Some(8),
        ..PLAIN
    },
    Shape {
        name: "no second attempts",
        text: "backend web
  balance leastconn
  retries 0
  no option redispatch
  http-reuse safe
  option http-server-close
",
        ..PLAIN
    },
    Shape {
        name: "compression, caches and headers",
        text: "cache pages
  total-max-size 4
  max-age 60
frontend www
  bind {front}
  http-response set-header Strict-Transport-Security \"max-age=31536000; includeSubDomains\"
  http-request set-header X-Request-Start t=%[date()]
  default_backend web
backend web
  balance leastconn
  http-request cache-use pages
  http-response cache-store pages
  compression algo gzip
  compression type text/html text/plain
",
        ..PLAIN
    },
    Shape {
        name: "error pages and a log format with quotes and blanks",
        text: "frontend www
  bind {front}
  log-format \"%ci:%cp [%tr] %ft # %b/%s\"
  acl bot hdr_sub(user-agent) -i 'curl bot' scan\\ ner
  http-request deny if bot
  default_backend web
backend web # the pool
  balance leastconn
  timeout http-request 10s
",
        ..PLAIN
    },
    Shape {
        name: "named defaults",
        since: (2, 4),
        above: BARE,
        text: "defaults base
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
defaults quick from base
  option redispatch
defaults other
  mode tcp
  timeout connect 5s
  timeout client 50s
  timeout server 50s
frontend www from base
  bind {front}
  default_backend web
backend web from quick
  balance leastconn
",
        ..PLAIN
    },
];
