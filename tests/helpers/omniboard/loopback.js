// Loaded before Omniboard: it would listen on every interface, and go on when the tests that started it are gone.
const net = require('net');

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  this.once('listening', () => console.log(`listening on 127.0.0.1:${this.address().port}`));
  return listen.call(this, port, '127.0.0.1', ...rest);
};
process.stdin.on('end', () => process.exit(1)).resume();
