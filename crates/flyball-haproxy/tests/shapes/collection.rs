//! Configurations as people have them: the shapes are theirs, the lines are written for the tests.
//!
//! `{front}` is where a request comes in, `{socket}` the runtime socket, `{replica}` where a replica
//! listens that the configuration itself plays, for those that speak something else than HTTP.

use flyball_haproxy::{Checks, HaproxySettings, Level, OwnedFile};

const OLD: (u32, u32) = (2, 2);
const NEW: (u32, u32) = (2, 6);

pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// The first release that starts with it.
    pub(crate) since: (u32, u32),
    pub(crate) backend: &'static str,
    /// What stands before `text`.
    above: &'static str,
    text: &'static str,
    pub(crate) settings: fn(&mut HaproxySettings),
    /// What `check` has to find fault with, beside what it says of every such release.
    wrong: &'static [&'static str],
    advice: &'static [&'static str],
}

const PLAIN: Shape = Shape {
    name: "",
    since: OLD,
    backend: "web",
    above: DEBIAN,
    text: "",
    settings: |_| {},
    wrong: &[],
    advice: &[LOSES, CUTS],
};

/// No redispatch, no retry.
const LOSES: &str = "may lose requests when a server ends";
/// No `option idle-close-on-response`.
const CUTS: &str = "a reload of HAProxy may cut requests";
const TOO_OLD: &str = "takes no servers at run time";
const IDLE_SERVERS: &str = "does not look at how busy";
const STATIC: &str = "takes no servers at run time with this algorithm";
const DOES_NOT_REACH: &str = "does not reach servers made at run time";

/// As Debian's package has it, with a socket of the test's own.
const DEBIAN: &str = "global
  log 127.0.0.1:1 local0
  stats socket {socket} mode 660 level admin
  stats timeout 30s
defaults
  log global
  mode http
  option httplog
  option dontlognull
  timeout connect 5000
  timeout client 50000
  timeout server 50000
";
const FRONT: &str = "frontend www
  bind {front}
  default_backend web
";
const BARE: &str = "global
  stats socket {socket} level admin
";

impl Shape {
    pub(crate) fn text(&self) -> String {
        let front = if self.text.contains("{front}") { "" } else { FRONT };
        format!("{}{front}{}", self.above, self.text)
    }

    pub(crate) fn has_own_replica(&self) -> bool {
        self.text.contains("{replica}")
    }

    pub(crate) fn expected(&self, release: (u32, u32)) -> Vec<(Level, &'static str)> {
        let mut all = Vec::new();
        if release < NEW {
            all.push((Level::Wrong, TOO_OLD));
        }
        // Servers made at run time are the only ones that an old HAProxy's algorithm may refuse.
        let wrong = self.wrong.iter().filter(|part| **part != STATIC || release >= NEW);
        all.extend(wrong.map(|part| (Level::Wrong, *part)));
        let advice = self.advice.iter().filter(|part| **part != CUTS || release >= NEW);
        all.extend(advice.map(|part| (Level::Advice, *part)));
        all
    }
}

/// Its backend is in the file that flyball makes.
pub(crate) const OWNED: Shape = Shape {
    name: "the backend in flyball's file",
    text: FRONT,
    settings: |settings| {
        let lines = "balance leastconn\noption redispatch 1\nhttp-request set-header X-A \"b c\"";
        settings.file = Some(OwnedFile { path: "flyball.cfg".into(), lines: lines.to_owned() });
    },
    ..PLAIN
};

pub(crate) const SHAPES: &[Shape] = &[
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
        advice: &[LOSES, CUTS, "servers of the configuration are spoken to with"],
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
    Shape {
        name: "clients kept by a cookie",
        text: "backend web
  balance leastconn
  cookie SERVERID insert indirect nocache
  server old 127.0.0.1:1 cookie old disabled
",
        wrong: &["keeps clients by a cookie"],
        ..PLAIN
    },
    Shape {
        name: "clients kept by a stick table",
        text: "backend web
  balance leastconn
  stick-table type ip size 100k expire 30m
  stick on src
",
        advice: &[LOSES, CUTS, "keeps clients at a server that drains"],
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
        advice: &[LOSES, CUTS, "asks `OPTIONS /`"],
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
        wrong: &["is of level operator"],
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
        wrong: &["is of level operator"],
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
