import multiprocessing

rate = 0.1


def step(x):
    return x * rate


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print("rate", rate, pool.map(step, range(3)))
