import random

rate = 0.1
STEPS = 4

w = random.random()
for _ in range(STEPS):
    w -= rate * w
print("rate", rate, w)
