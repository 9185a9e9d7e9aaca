// Tells flyball that a trigger fired or recovered. Flyball then asks Zabbix how things stand.
var call = JSON.parse(value), request = new HttpRequest();
request.addHeader('Content-Type: application/json');
if (call.token) request.addHeader('Authorization: Bearer ' + call.token);
var path = '/api/v1/services/' + encodeURIComponent(call.service) + '/wake';
var answer = request.post(call.url + path, JSON.stringify({ event: call.event }));
if (request.getStatus() >= 300) throw 'flyball answered ' + request.getStatus() + ': ' + answer;
return answer;
