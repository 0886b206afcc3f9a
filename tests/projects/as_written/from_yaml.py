import yaml

with open("from_yaml.yaml") as file:
    config = yaml.safe_load(file)
print("rate", config["rate"], config["model"]["layers"])
