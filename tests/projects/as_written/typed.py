import typer


def main(rate: float = 0.1, name: str = "adam"):
    print("rate", rate, name)


if __name__ == "__main__":
    typer.run(main)
