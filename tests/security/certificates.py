"""Certificates as an operator makes them with OpenSSL: good ones, and each way to get one wrong.

Made once for a run, into a directory of its own; P-256, but for what a course makes.
"""

import functools
import atexit
import pathlib
import shutil
import subprocess
import tempfile

#: Names of files below the directory, without their ends (.pem, .key).
SERVER_EXTENSIONS = "subjectAltName=DNS:localhost,DNS:mqtt.local,IP:127.0.0.1\nextendedKeyUsage=serverAuth"
CLIENT_EXTENSIONS = "extendedKeyUsage=clientAuth"


def openssl(*arguments, directory=None, text=None):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, cwd=directory, input=text)
    assert done.returncode == 0, f"openssl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


class Authority:
    """An authority with its certificates, keys and list of revoked ones."""

    def __init__(self, directory, name):
        self.directory = pathlib.Path(directory)
        self.name = name
        self.directory.mkdir(exist_ok=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN={name}", directory=self.directory)
        for file in ("index", "index.attr"):
            (self.directory / file).write_text("")
        (self.directory / "crlnumber").write_text("01\n")
        (self.directory / "ca.conf").write_text(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = index\ncrlnumber = crlnumber\nserial = serial\ndefault_md = sha256\n"
            "default_crl_days = 30\n[any]\ncommonName = supplied\norganizationName = optional\n"
        )

    def path(self, name):
        return str(self.directory / name)

    def issue(self, name, subject, extensions, days=("-days", "10")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                "-out", f"{name}.csr", "-subj", subject, directory=self.directory)
        self.sign(name, extensions, days)

    def sign(self, name, extensions, days=("-days", "10")):
        (self.directory / f"{name}.ext").write_text(extensions + "\n")
        more = ["-extfile", f"{name}.ext"] if extensions else []
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", *more,
                "-out", f"{name}.pem", *days, directory=self.directory)

    def list_revoked(self, *names):
        """Writes `revoked.crl`, with these on it."""
        for name in names:
            openssl("ca", "-config", "ca.conf", "-keyfile", "ca.key", "-cert", "ca.pem", "-revoke", f"{name}.pem",
                    directory=self.directory)
        openssl("ca", "-config", "ca.conf", "-keyfile", "ca.key", "-cert", "ca.pem", "-gencrl", "-out", "revoked.crl",
                directory=self.directory)


@functools.cache
def authority():
    """The authority of this run, with a server, its broken relatives, and clients."""
    directory = tempfile.mkdtemp(prefix="dunlin-certificates-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    own = Authority(pathlib.Path(directory) / "own", "Authority of the tests")
    own.issue("server", "/CN=localhost", SERVER_EXTENSIONS)
    own.issue("renewed", "/CN=renewed", SERVER_EXTENSIONS)
    own.issue("elsewhere", "/CN=elsewhere", "subjectAltName=DNS:elsewhere.example\nextendedKeyUsage=serverAuth")
    own.issue("nameless", "/CN=localhost", "")
    own.issue("expired", "/CN=localhost", SERVER_EXTENSIONS)
    expire(own, "expired", SERVER_EXTENSIONS)
    own.issue("client", "/O=House/CN=meter", CLIENT_EXTENSIONS)
    own.issue("revoked", "/CN=stolen", CLIENT_EXTENSIONS)
    own.issue("old-client", "/CN=meter", CLIENT_EXTENSIONS)
    expire(own, "old-client", CLIENT_EXTENSIONS)
    own.list_revoked("revoked")
    return own


def expire(own, name, extensions):
    """Signs it again, for a time that is over: `openssl ca` takes both dates."""
    (own.directory / "new").mkdir(exist_ok=True)
    (own.directory / f"{name}.ext").write_text(extensions + "\n")
    openssl("ca", "-batch", "-config", "ca.conf", "-keyfile", "ca.key", "-cert", "ca.pem", "-in", f"{name}.csr",
            "-out", f"{name}.pem", "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-extfile",
            f"{name}.ext", "-policy", "any", "-outdir", "new", "-create_serial", "-notext", directory=own.directory)


@functools.cache
def stranger():
    """An authority that nobody trusts, with a client of its own."""
    directory = tempfile.mkdtemp(prefix="dunlin-stranger-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    other = Authority(pathlib.Path(directory) / "other", "Somebody else")
    other.issue("client", "/CN=meter", CLIENT_EXTENSIONS)
    return other
