"""One step of the orbit: dt, pull and the state as arguments, the new state on stdout."""

import sys

dt, pull, x, y, vx, vy = map(float, sys.argv[1:])
distance = (x * x + y * y) ** 1.5
vx, vy = vx - dt * pull * x / distance, vy - dt * pull * y / distance
print(repr(x + dt * vx), repr(y + dt * vy), repr(vx), repr(vy))
