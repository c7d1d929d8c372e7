"""A broker with TLS on PORT, WebSocket on PORT2 and secure WebSocket on PORT3; {own}: where certificates are."""

from place import WHO

CONFIGURATION = WHO + """allow_anonymous true
listener PORT 127.0.0.1
certfile {own}/server.pem
keyfile {own}/server.key
cafile {own}/ca.pem
listener PORT2 127.0.0.1
protocol websockets
listener PORT3 127.0.0.1
protocol websockets
certfile {own}/server.pem
keyfile {own}/server.key
"""
