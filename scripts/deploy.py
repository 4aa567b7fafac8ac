"""Migrates, deploys the template with sam, and migrates again where nothing was to migrate with before. Called by
scripts/deploy."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

import boto3
import botocore.config
import botocore.exceptions
import tomlkit

ROOT = pathlib.Path(__file__).resolve().parent.parent
INFRA = ROOT / "infra"
ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "").rstrip("/")
MINISTACK_URL = "{endpoint}/_aws/execute-api/{id}/$default"


def main():
    environment, given = arguments(sys.argv[1:])
    section = configuration(environment)
    stack = section.pop("stack_name", None) or os.environ.get("STACK") or "halyard"
    parameters = overrides(section.pop("parameter_overrides", []))
    if file := os.environ.get("PARAMETERS"):
        parameters |= json.loads(pathlib.Path(file).read_text())
    parameters |= given
    template = INFRA / os.environ.get("TEMPLATE", "template.yaml")
    parameters["Release"] = release(template, parameters)
    check_architecture(parameters)
    session = boto3.Session(region_name=section.get("region"), profile_name=section.get("profile"))
    migrate_ahead(session, stack, parameters)
    deploy(environment, stack, template, parameters)
    outputs = describe(session, stack)
    migrate(session, outputs["MigrateFunction"], "live")
    form = os.environ.get("API_URL") or (MINISTACK_URL if ENDPOINT else "")
    print(form.format(endpoint=ENDPOINT, id=outputs["ApiId"]) if form else outputs["Url"])


def check_architecture(parameters):
    """The zips are for the machine that the functions will run on."""
    machines = {0x3E: "x86_64", 0xB7: "arm64"}
    with zipfile.ZipFile(ROOT / "target/lambda/halyard-authorizer.zip") as archive, archive.open("bootstrap") as program:
        built = machines.get(int.from_bytes(program.read(20)[18:20], "little"))
    wanted = parameters.get("Architecture", "arm64")
    if built != wanted:
        sys.exit(f"halyard: the zips are built for {built}, the functions are to run on {wanted}: set ARCH={wanted}, or Architecture={built}")


def arguments(words):
    """The section's name, if one is given, and the parameters."""
    environment = words.pop(0) if words and "=" not in words[0] else None
    wrong = [word for word in words if "=" not in word]
    if wrong:
        sys.exit(f"halyard: a parameter is written Name=Value, not {wrong[0]}")
    return environment, dict(word.split("=", 1) for word in words)


def configuration(environment):
    """What infra/samconfig.toml says of an environment."""
    if environment is None:
        return {}
    sections = tomlkit.parse((INFRA / "samconfig.toml").read_text()).unwrap()
    if environment not in sections:
        known = ", ".join(name for name in sections if name not in ("version", "default"))
        sys.exit(f"halyard: infra/samconfig.toml has no environment {environment}: it has {known}")
    merged = {}
    for name in ("default", environment):
        for command in ("global", "deploy"):
            merged |= sections.get(name, {}).get(command, {}).get("parameters", {})
    return merged


def overrides(told):
    """Parameters as samconfig.toml may write them: a table, a list of Name=Value, or one line of those."""
    if isinstance(told, dict):
        return {name: str(value) for name, value in told.items()}
    words = told if isinstance(told, list) else re.findall(r'(?:[^\s"]|"[^"]*")+', told)
    return {name: value.strip('"') for name, value in (word.split("=", 1) for word in words)}


def release(template, parameters):
    """Names code, template and parameters together: another name publishes new versions of all functions. RESTART goes into
    it, for what changes beside these: a secret, which an environment reads when it starts."""
    text = template.read_text()
    told = hashlib.sha256(text.encode())
    told.update(os.environ.get("RESTART", "").encode())
    told.update(json.dumps(parameters, sort_keys=True).encode())
    for uri in sorted(set(re.findall(r"CodeUri: (\S+\.zip)", text))):
        zip_file = template.parent / uri
        if not zip_file.is_file():
            sys.exit(f"halyard: {zip_file} is missing: run scripts/package")
        told.update(zip_file.read_bytes())
    return told.hexdigest()[:16]


def deploy(environment, stack, template, parameters):
    sam = [pathlib.Path(sys.executable).parent / "sam", "deploy", "--stack-name", stack, "--no-fail-on-empty-changeset"]
    if not environment:
        sam += ["--capabilities", "CAPABILITY_IAM"]
    else:
        sam += ["--config-file", INFRA / "samconfig.toml", "--config-env", environment]
    if role := os.environ.get("EXECUTION_ROLE"):
        sam += ["--role-arn", role]
    bucket = os.environ.get("BUCKET")
    if ENDPOINT:
        # Quicker than a bucket that sam manages with a stack of its own, and easier to take away again.
        bucket = bucket or f"{stack}-deployments"
        make_bucket(bucket)
    if bucket:
        # samconfig.toml may ask for the other one.
        sam += ["--no-resolve-s3", "--s3-bucket", bucket]
    elif not environment:
        sam += ["--resolve-s3"]
    if ENDPOINT or not sys.stdin.isatty():
        sam += ["--no-confirm-changeset"]
    with tempfile.TemporaryDirectory() as scratch:
        # JSON is YAML; values may hold anything, and nobody sees them in a list of processes.
        values = pathlib.Path(scratch, "parameters.yaml")
        values.touch(0o600)
        values.write_text(json.dumps(parameters))
        if not environment:
            # Else sam takes what it finds beside the template.
            nothing = pathlib.Path(scratch, "samconfig.toml")
            nothing.write_text("version = 0.1\n")
            sam += ["--config-file", nothing]
        copy = None
        if ENDPOINT:
            # MiniStack runs the SAM transform without the parameters' values: it has to find this one as a default.
            # From this directory too the zips are in ../target/lambda, and nobody commits what a killed run leaves.
            copy = template.parent.parent / "target" / f"template-{stack}.yaml"
            copy.write_text(with_release(template.read_text(), parameters["Release"]))
        try:
            run([*sam, "--template", copy or template, "--parameter-overrides", f"file://{values}"])
        finally:
            if copy:
                copy.unlink()


def make_bucket(name):
    service = boto3.client("s3")
    try:
        service.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_REGION"]})
    except (service.exceptions.BucketAlreadyOwnedByYou, service.exceptions.BucketAlreadyExists):
        pass


def with_release(text, value):
    changed, times = re.subn(r'(\n  Release:\n    Type: String\n    Default: )""', rf'\g<1>"{value}"', text)
    if times != 1:
        sys.exit("halyard: the template has no parameter Release as scripts/deploy.py knows it")
    return changed


def run(command):
    """Shows what sam says while it says it where somebody decides about it, else only when it fails."""
    if not ENDPOINT:
        code = subprocess.run(command, cwd=INFRA, stdout=sys.stderr).returncode
    else:
        done = subprocess.run(command, cwd=INFRA, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        code = done.returncode
        if code:
            sys.stderr.write(done.stdout)
    if code:
        sys.exit(f"halyard: the deployment failed: {command[1]} of {command[3]}")


def describe(session, stack):
    found = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def migrate_ahead(session, stack, parameters):
    """Where there is a stack already, the migrations come before the code that needs them, and before a canary of it: the
    code that is there works on the new schema, but not the new code on the old one. The program is put into the
    function without a version of its own: callers go on with theirs, and the deployment publishes one."""
    try:
        function = describe(session, stack).get("MigrateFunction")
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        function = None
    if not function:
        return
    service = session.client("lambda")
    if moves(service.get_function_configuration(FunctionName=function)["Environment"]["Variables"], parameters):
        # What runs knows another database, or none: the migrations follow the new settings.
        print("migrations follow the deployment: it changes the database or its password", file=sys.stderr)
        return
    program = (ROOT / "target/lambda/halyard-fn-migrate.zip").read_bytes()
    built_for = {"Architectures": [parameters["Architecture"]]} if "Architecture" in parameters else {}
    service.update_function_code(FunctionName=function, ZipFile=program, **built_for)
    service.get_waiter("function_updated_v2").wait(FunctionName=function)
    migrate(session, function, "$LATEST")


def moves(variables, parameters):
    """Does the deployment change which database the functions use, or how they get in?"""
    # A parameter that is not given keeps the value that it has.
    url = parameters.get("DatabaseUrl", variables.get("DATABASE_URL"))
    password = variables.get("DATABASE_PASSWORD", "")
    if parameters.get("SecretsPrefix"):
        password = f"secretsmanager:{parameters['SecretsPrefix']}/database#password"
    elif "SecretsPrefix" in parameters or "DatabasePassword" in parameters:
        password = parameters.get("DatabasePassword", password)
    return (url, password) != (variables.get("DATABASE_URL"), variables.get("DATABASE_PASSWORD", ""))


def migrate(session, function, version):
    """The deploy step. It is asked once: a migration that takes long is not to be started twice."""
    patient = botocore.config.Config(read_timeout=310, retries={"total_max_attempts": 1})
    answer = session.client("lambda", config=patient).invoke(FunctionName=function, Qualifier=version, Payload=b"{}")
    payload = answer["Payload"].read().decode()
    try:
        told = json.loads(payload)
    except ValueError:
        told = None
    if answer.get("FunctionError") or not isinstance(told, dict) or not isinstance(told.get("applied"), int):
        state = "is deployed, but its" if version == "live" else "is as it was: its new"
        sys.exit(f"halyard: the stack {state} migrations are not applied: {payload}")
    print(f"migrations applied: {told['applied']}", file=sys.stderr)


main()
