"""Does deploy/compose.yaml fit the server, its metrics and the dashboard, as far as no engine is needed?

    compose_test.py STYLEX_SERVER

Starts the server with the flags of the file and asks it what Prometheus would ask. (That the dashboard's
metrics exist is held by manifests_test.py.) Where a container engine is
installed, it reads the file, too. Exit code 77: skipped.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import urllib.request

try:
    import yaml
except ImportError:
    print('skipped: python3-yaml is not installed')
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / 'deploy'
BINARY = sys.argv.pop(1)
COMPOSE = yaml.safe_load((DEPLOY / 'compose.yaml').read_text())
SERVICES = COMPOSE['services']


def with_defaults(text):
    """${NAME:-default} as an engine reads it where NAME is not set."""
    return re.sub(r'\$\{\w+:-([^}]*)\}', r'\1', text)


def mounts(service):
    """Target -> (source, whether it is read-only)."""
    parts = [with_defaults(volume).split(':') for volume in SERVICES[service].get('volumes', [])]
    return {part[1]: (part[0], part[2:] == ['ro']) for part in parts}


def file_at(service, path):
    """The file of this checkout that stands at `path` in the service's container."""
    for target, (source, _) in mounts(service).items():
        if path == target or path.startswith(target + '/'):
            return DEPLOY / source / path.removeprefix(target).lstrip('/')
    raise AssertionError(f'{service}: nothing is mounted at {path}')


def flags(service):
    return dict(word.removeprefix('--').split('=', 1) for word in SERVICES[service]['command'])


class ComposeTest(unittest.TestCase):
    def test_what_is_built_and_mounted_is_there(self):
        build = SERVICES['server']['build']
        self.assertTrue((DEPLOY / build['context'] / build['dockerfile']).is_file())
        for service in SERVICES:
            for target, (source, read_only) in mounts(service).items():
                if source in COMPOSE['volumes']:
                    continue
                self.assertTrue((DEPLOY / source).exists(), f'{service}: {source} is not there')
                self.assertTrue(read_only, f'{service}: {target} could be written')

    def test_images_have_a_version_and_no_host(self):
        for name in ('prometheus', 'grafana'):
            self.assertRegex(SERVICES[name]['image'], r'^[a-z]+/[a-z]+:v?\d+\.\d+\.\d+$')

    def test_ports_are_open_on_this_machine_alone(self):
        host_ports = []
        for name, service in SERVICES.items():
            for port in service['ports']:
                address, outside, inside = port.split(':')
                self.assertEqual(address, '127.0.0.1', name)
                host_ports.append(outside)
                if name == 'server':
                    self.assertEqual(inside, flags('server')['port'])
        self.assertEqual(len(host_ports), len(set(host_ports)))

    def test_services_that_are_waited_for_exist(self):
        for service in SERVICES.values():
            self.assertLessEqual(set(service.get('depends_on', [])), set(SERVICES))

    def test_the_server_is_confined_and_may_drain(self):
        server = SERVICES['server']
        self.assertTrue(server['read_only'])
        self.assertEqual(server['cap_drop'], ['ALL'])
        self.assertGreater(int(server['stop_grace_period'].rstrip('s')), int(flags('server')['drain-timeout']))

    def test_prometheus_asks_the_server(self):
        config = yaml.safe_load(file_at('prometheus', '/etc/prometheus/prometheus.yml').read_text())
        job, = config['scrape_configs']
        self.assertEqual(job['static_configs'], [{'targets': [f'server:{flags("server")["metrics-port"]}']}])
        self.assertNotIn('metrics_path', job, 'the default, /metrics, is the server\'s')

    def test_grafana_asks_prometheus_and_shows_the_dashboard(self):
        provisioning = '/etc/grafana/provisioning'
        source, = yaml.safe_load(file_at('grafana', f'{provisioning}/datasources/prometheus.yml').read_text())['datasources']
        self.assertEqual((source['type'], source['isDefault']), ('prometheus', True))
        self.assertEqual(source['url'], 'http://prometheus:9090')
        provider, = yaml.safe_load(file_at('grafana', f'{provisioning}/dashboards/stylex.yml').read_text())['providers']
        home = SERVICES['grafana']['environment']['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH']
        self.assertEqual(str(pathlib.PurePosixPath(home).parent), provider['options']['path'])
        dashboard = file_at('grafana', home)
        self.assertEqual(dashboard, DEPLOY / 'grafana/stylex-server.json')
        self.assertEqual(json.loads(dashboard.read_text())['uid'], 'stylex-server')

    def test_the_server_takes_these_flags_and_answers_prometheus(self):
        ours = {'models': str(file_at('server', '/models')), 'host': '127.0.0.1', 'port': '0', 'metrics-port': '0'}
        command = [f'--{flag}={value}' for flag, value in (flags('server') | ours).items()]
        process = subprocess.Popen([BINARY, *command, '--device=cpu', '--log-level=error'], stdout=subprocess.PIPE,
                                   text=True)
        try:
            said = process.stdout.readline() + process.stdout.readline()
            port = re.search(r'metrics on \S*:(\d+)', said)[1]
            with urllib.request.urlopen(f'http://127.0.0.1:{port}/metrics', timeout=10) as answer:
                self.assertIn('\nstylex_build_info{', answer.read().decode())
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def test_an_engine_reads_the_file(self):
        engine = shutil.which('docker') or shutil.which('podman')
        if engine is None or subprocess.run([engine, 'compose', 'version'], capture_output=True).returncode != 0:
            self.skipTest('no container engine with compose is installed')
        read = subprocess.run([engine, 'compose', '-f', DEPLOY / 'compose.yaml', 'config', '--quiet'],
                              capture_output=True, text=True)
        self.assertEqual(read.returncode, 0, read.stderr)


if __name__ == '__main__':
    unittest.main(verbosity=2)
