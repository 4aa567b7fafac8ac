"""What scripts/emulated needs of the emulator and of the servers beyond a deployment."""

import json
import os
import pathlib
import re
import secrets
import socket
import sys
import time
import urllib.parse

import boto3

KEPT = ("database", "redis", "token-signing-key", "token-keys", "accounts", "admin")


def answering(file):
    """Fails unless both private servers answer."""
    told = dict(re.findall(r"export (\w+)='(.*)'", pathlib.Path(file).read_text()))
    database = urllib.parse.unquote(told["TEST_DATABASE_URL"].split("@")[1].split("/")[0])
    for path in (f"{database}/.s.PGSQL.5432", urllib.parse.urlsplit(told["TEST_REDIS_URL"]).path):
        connect(path).close()


def make_secrets(directory, redis_url):
    """The secrets that the functions read, as they are on AWS. A private Redis is protected with its own from now on; a
    private PostgreSQL believes whoever may open its socket, and does not ask."""
    directory, prefix = pathlib.Path(directory), os.environ["SECRETS_PREFIX"]
    passwords = {name: os.environ.get(f"{name.upper()}_PASSWORD") for name in ("database", "redis")}
    kept = directory / "passwords.json"
    if not kept.exists():
        kept.touch(0o600)
        kept.write_text(json.dumps({name: secrets.token_urlsafe(24) for name in passwords}))
    for name, made in json.loads(kept.read_text()).items():
        passwords[name] = passwords[name] or made
    socket_of_redis = urllib.parse.urlsplit(redis_url).path if redis_url.startswith("redis+unix:") else None
    if socket_of_redis:
        require(socket_of_redis, passwords["redis"])
    elif not os.environ.get("REDIS_PASSWORD"):
        passwords["redis"] = ""
    keys = directory / "keys"
    values = {
        "database": {"password": passwords["database"]},
        "redis": {"password": passwords["redis"]},
        "token-signing-key": {"private": (keys / "token_signing_key").read_text()},
        "token-keys": {"public": (keys / "token_key_set").read_text()},
        "accounts": {"key": (keys / "account_key").read_text()},
        "admin": {"password": os.environ.get("ADMIN_PASSWORD", "admin123")},
    }
    service = boto3.client("secretsmanager")
    for name in KEPT:
        name, value = f"{prefix}/{name}", json.dumps(values[name])
        try:
            service.create_secret(Name=name, SecretString=value)
        except service.exceptions.ResourceExistsException:
            service.put_secret_value(SecretId=name, SecretString=value)


def verify(sender):
    """SES sends for addresses that it knows; an emulator believes at once that one is ours."""
    service = boto3.client("sesv2")
    try:
        service.create_email_identity(EmailIdentity=sender)
    except service.exceptions.AlreadyExistsException:
        pass


def require(path, password):
    with connect(path) as server:
        # A server that was protected before is asked again with what it knows.
        server.sendall(f"CONFIG SET requirepass {password}\r\n".encode())
        answer = server.recv(200)
        if answer.startswith(b"-NOAUTH"):
            server.sendall(f"AUTH {password}\r\n".encode())
            answer = server.recv(200)
        if answer != b"+OK\r\n":
            sys.exit(f"halyard: Redis does not take its password: {answer.decode(errors='replace').strip()}")


def connect(path):
    server = socket.socket(socket.AF_UNIX)
    server.settimeout(5)
    server.connect(path)
    return server


def delete():
    """Deletes the stack, and what the template keeps on purpose: tables and buckets, in an emulator, hold nothing that is
    worth it."""
    stack = os.environ["STACK"]
    service, tables, buckets = boto3.client("cloudformation"), boto3.client("dynamodb"), boto3.resource("s3")
    try:
        pages = service.get_paginator("list_stack_resources").paginate(StackName=stack)
        resources = [one for page in pages for one in page["StackResourceSummaries"]]
    except service.exceptions.ClientError:
        resources = []
    service.delete_stack(StackName=stack)
    deadline = time.monotonic() + 300
    while (state := state_of(service, stack)) not in (None, "DELETE_COMPLETE"):
        if state == "DELETE_FAILED" or time.monotonic() > deadline:
            sys.exit(f"halyard: the stack {stack} could not be deleted: {state}")
        time.sleep(0.2)
    for resource in resources:
        if resource["ResourceType"] == "AWS::DynamoDB::Table":
            try:
                tables.delete_table(TableName=resource["PhysicalResourceId"])
            except tables.exceptions.ResourceNotFoundException:
                pass
        if resource["ResourceType"] == "AWS::S3::Bucket":
            remove(buckets.Bucket(resource["PhysicalResourceId"]))
    keeper = boto3.client("secretsmanager")
    for name in KEPT:
        try:
            keeper.delete_secret(SecretId=f"{os.environ['SECRETS_PREFIX']}/{name}", ForceDeleteWithoutRecovery=True)
        except keeper.exceptions.ResourceNotFoundException:
            pass
    remove(buckets.Bucket(f"{stack}-deployments"))


def remove(bucket):
    if bucket.creation_date:
        bucket.objects.delete()
        bucket.delete()


def state_of(service, stack):
    try:
        return service.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    except service.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


{"answering": answering, "secrets": make_secrets, "sender": verify, "delete": delete}[sys.argv[1]](*sys.argv[2:])
