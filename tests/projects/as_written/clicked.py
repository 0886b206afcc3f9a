import click


@click.command()
@click.option("--rate", default=0.1, help="How fast.")
@click.option("--shuffle/--no-shuffle", default=False)
def main(rate, shuffle):
    click.echo(f"rate {rate} {shuffle}")


if __name__ == "__main__":
    main()
