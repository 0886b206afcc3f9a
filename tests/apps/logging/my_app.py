import logging

import hydra

log = logging.getLogger(__name__)


@hydra.main(version_base=None)
def my_app(_cfg) -> None:
    log.info("info")
    log.debug("debug")
    logging.getLogger("other").debug("other")


if __name__ == "__main__":
    my_app()
