"""Who talks to sockets: devices with their certificates, viewers with a session or a token."""
