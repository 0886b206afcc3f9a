import argparse


def fit(args):
    w = 0.0
    for _ in range(args.steps):
        w -= args.rate * 2 * (w - 3)
    print(f"fit {args.rate} {args.verbose} {args.cache} {w:.6f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--cache", action=argparse.BooleanOptionalAction, default=True)
    commands = parser.add_subparsers(dest="command", required=True)
    fitting = commands.add_parser("fit")
    fitting.add_argument("--rate", type=float, default=0.1)
    fitting.add_argument("--steps", type=int, default=5)
    fitting.set_defaults(call=fit)
    args = parser.parse_args()
    args.call(args)


if __name__ == "__main__":
    main()
