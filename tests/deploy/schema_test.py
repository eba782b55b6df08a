"""Do the manifests follow Kubernetes' own schemas, without a field that it does not know?

Renders everything that somebody might apply (as manifests_test does) and has kubeconform check it. The
schemas come from packages of Go's module cache, put there once by

  go install github.com/yannh/kubeconform/cmd/kubeconform@latest
  go mod download k8s.io/kubernetes@v1.31.4
  go mod download github.com/prometheus-operator/prometheus-operator@v0.76.2
  go mod download github.com/kedacore/keda/v2@v2.15.1

so the test itself needs no network. Exit code 77: skipped, because one of them is missing.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("skipped: python3-yaml is not installed")
    sys.exit(77)

import renderings

SWAGGER = "k8s.io/kubernetes@v*/api/openapi-spec/swagger.json"
CRDS = (
    "github.com/prometheus-operator/prometheus-operator@v*/example/prometheus-operator-crd/"
    "monitoring.coreos.com_servicemonitors.yaml",
    "github.com/kedacore/keda/v2@v*/config/crd/bases/keda.sh_scaledobjects.yaml",
)


def skip(message):
    print(f"skipped: {message}; see {pathlib.Path(__file__).name}")
    sys.exit(77)


def module_file(pattern):
    go = shutil.which("go") or "/usr/local/go/bin/go"
    cache = os.environ.get("GOMODCACHE") or os.path.expanduser("~/go/pkg/mod")
    if os.path.exists(go):
        cache = subprocess.run([go, "env", "GOMODCACHE"], check=True, capture_output=True,
                               text=True).stdout.strip()
    found = sorted(pathlib.Path(cache).glob(pattern))
    if not found:
        skip(f"{pattern.split('@')[0]} is not in Go's module cache")
    return found[-1]


def strict(schema):
    """The schema, refusing fields that it does not name."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    result = {key: strict(value) for key, value in schema.items() if key != "properties"}
    if "properties" in schema:
        result["properties"] = {name: strict(part) for name, part in schema["properties"].items()}
        if not ("additionalProperties" in schema
                or schema.get("x-kubernetes-preserve-unknown-fields")):
            result["additionalProperties"] = False
    return result


def references(schema):
    if isinstance(schema, list):
        return set().union(*map(references, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    found = references(list(schema.values()))
    if isinstance(schema.get("$ref"), str):
        found.add(schema["$ref"].rsplit("/", 1)[1])
    return found


def with_definitions(name, definitions):
    """A schema that stands alone."""
    needed, reached = {}, {name}
    while reached:
        needed.update({each: strict(definitions[each]) for each in reached})
        reached = set().union(*(references(needed[each]) for each in reached)) - needed.keys()
    return {"allOf": [{"$ref": f"#/definitions/{name}"}], "definitions": needed}


def write_schemas(folder, kinds):
    """One file a kind, under the name that kubeconform asks for."""
    definitions = json.loads(module_file(SWAGGER).read_text())["definitions"]
    # Quantities may also be numbers.
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            if kind["kind"] in kinds:
                write_kind(folder, kind["group"], kind["version"], kind["kind"],
                           with_definitions(name, definitions))
    for pattern in CRDS:
        crd = yaml.safe_load(module_file(pattern).read_text())["spec"]
        for version in crd["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            write_kind(folder, crd["group"], version["name"], crd["names"]["kind"], schema)


def write_kind(folder, group, version, kind, schema):
    name = "-".join(part for part in (kind, group, version) if part).lower()
    (folder / f"{name}.json").write_text(json.dumps(schema))


def refuses(kubeconform, schemas, manifest):
    """kubeconform's complaint about a manifest; empty when it has none."""
    location = f"{schemas}/{{{{.ResourceKind}}}}-{{{{.Group}}}}-{{{{.ResourceAPIVersion}}}}.json"
    plain = f"{schemas}/{{{{.ResourceKind}}}}-{{{{.ResourceAPIVersion}}}}.json"
    run = subprocess.run([kubeconform, "-strict", "-summary", "-schema-location", location,
                          "-schema-location", plain], input=manifest, capture_output=True,
                         text=True)
    print(run.stdout.strip().splitlines()[-1] if run.stdout else run.stderr)
    return "" if run.returncode == 0 else run.stdout + run.stderr


def main():
    kubeconform = shutil.which("kubeconform") or os.path.expanduser("~/go/bin/kubeconform")
    if not os.path.exists(kubeconform):
        skip("kubeconform is not installed")
    if not renderings.kustomize():
        skip("kustomize is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        schemas = pathlib.Path(scratch)
        rendered = renderings.renderings()
        write_schemas(schemas, {kind for _, objects in rendered for kind, _ in objects})
        for name, objects in rendered:
            manifest = yaml.safe_dump_all(objects.values())
            complaint = refuses(kubeconform, schemas, manifest)
            if complaint:
                sys.exit(f"failed: {name}: {complaint}")
            deployment = yaml.safe_dump(objects["Deployment", "stylex"])
            misspelt = deployment.replace("readOnlyRootFilesystem", "readonlyRootFilesystem")
            if not refuses(kubeconform, schemas, misspelt):
                sys.exit("failed: a misspelt field is not noticed: the schemas are too lax")


main()
