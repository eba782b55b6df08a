"""The Python client against a real server: client_test.py STYLEX_SERVER. Exit code 77: skipped."""
import io
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings
import xml.etree.ElementTree

import checkout

stylex = checkout.import_client()
import grpc  # noqa: E402
import numpy  # noqa: E402
import PIL.Image  # noqa: E402
from stylex import client, errors, pictures  # noqa: E402
from stylex.v1 import attribute_index_pb2  # noqa: E402

BINARY = sys.argv.pop(1)
EXAMPLES = checkout.ROOT / 'checkpoints/drawn-faces/examples'
PHOTOGRAPH = EXAMPLES / 'no-020000.png'
MODEL = 'drawn-faces'


def ready(client):
    for _ in range(300):
        states = {model.state for model in client.models()}
        if states == {'ready'}:
            return client
        time.sleep(0.2)
    raise AssertionError(f'models are {states} after a minute')


class AnswersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = checkout.Server(BINARY)
        cls.client = ready(stylex.Client(cls.server.address))
        cls.why = cls.client.explain(PHOTOGRAPH, model=MODEL, steps=True)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.__exit__()

    def test_models(self):
        self.assertEqual({model.name for model in self.client.models()}, {path.name for path in (checkout.ROOT / 'checkpoints').iterdir()})
        faces = self.client.model(MODEL)
        self.assertEqual(faces.labels, ('no', 'yes'))
        self.assertEqual(faces.full_name, 'drawn-faces/1')
        self.assertGreater(faces.num_styles, 0)
        self.assertIn('agreement', faces.metrics)
        self.assertEqual(set(faces.attributes), {'no', 'yes'})
        self.assertTrue(all(one.model == 'drawn-faces/1' for one in faces.attributes['yes']))

    def test_an_image_may_be_given_in_any_form(self):
        expected = self.client.classify(PHOTOGRAPH, model=MODEL)
        picture = PIL.Image.open(PHOTOGRAPH).convert('RGB')
        for image in (str(PHOTOGRAPH), PHOTOGRAPH.read_bytes(), picture, picture.convert('RGBA'), numpy.asarray(picture)):
            answer = self.client.classify(image, model=MODEL)
            self.assertTrue(numpy.array_equal(answer.logits, expected.logits), type(image))
        self.assertEqual(expected.label, 'no')
        self.assertAlmostEqual(float(expected.probabilities.sum()), 1, places=5)
        self.assertEqual(expected.probability, float(expected.probabilities.max()))
        grey = checkout.ROOT / 'checkpoints/fashion/examples/coat-8703.jpg'
        of_file = self.client.classify(grey, model='fashion')
        of_pixels = self.client.classify(numpy.asarray(PIL.Image.open(grey).convert('L')), model='fashion')
        self.assertTrue(numpy.array_equal(of_file.logits, of_pixels.logits))

    def test_an_explanation_says_what_changes(self):
        why = self.why
        self.assertEqual((why.original.label, why.target, why.model), ('no', 'yes', 'drawn-faces/1'))
        self.assertTrue(why.flipped and why.convincing)
        self.assertEqual(why.reason, '')
        self.assertEqual(why.changed.label, 'yes')
        self.assertGreaterEqual(why.changed.probability, 0.9)
        self.assertEqual(len(why.steps), len(why.moves))
        self.assertTrue(why.moves)
        self.assertRegex(why.sentence, r'^no becomes yes when: .+; yes .+ % → .+ %$')
        self.assertEqual(why.counterfactual.size, why.reconstruction.size)
        self.assertIsNotNone(why.difference)
        self.assertIsNotNone(why.on_photograph)
        # What is said of the picture is true of the picture.
        again = self.client.classify(why.counterfactual, model=MODEL)
        self.assertTrue(numpy.allclose(again.logits, why.changed.logits, atol=1e-4))

    def test_an_explanation_shows_itself(self):
        markup = xml.etree.ElementTree.fromstring(self.why._repr_html_())
        pictures = list(markup.iter('img'))
        self.assertGreaterEqual(len(pictures), 4)
        self.assertTrue(all(picture.get('src').startswith('data:image/png;base64,') for picture in pictures))
        self.assertIn(self.why.sentence, ''.join(markup.itertext()))
        pair = PIL.Image.open(io.BytesIO(self.why._repr_png_()))
        side = self.why.reconstruction.width
        factor = pair.height // side
        self.assertEqual(pair.width, factor * (2 * side + 2))
        self.assertEqual(pair.getpixel((0, 0)), self.why.reconstruction.convert('RGB').getpixel((0, 0)))

    def test_a_target_and_attributes_are_heeded(self):
        first = self.why.moves[0].attribute
        by_key = self.client.explain(PHOTOGRAPH, 'yes', model=MODEL, attributes=[first.key], probability=0)
        self.assertEqual([move.attribute.index for move in by_key.moves], [first.index])
        already = self.client.explain(PHOTOGRAPH, 0, model=MODEL)
        self.assertFalse(already.flipped)
        self.assertIn('no does not become no: ', already.sentence)

    def test_attributes_are_found_by_their_words(self):
        known = [one for one in self.client.model(MODEL).attributes['yes'] if one.words != f'attribute {one.key}']
        self.assertTrue(known, 'the shipped model has words')
        walk = self.client.traverse(PHOTOGRAPH, known[0].words, model=MODEL, frames=2)
        self.assertEqual(walk.attribute, known[0])
        with self.assertRaisesRegex(ValueError, f'"no such thing" is not in the model\'s index; .*{known[0].words}'):
            self.client.traverse(PHOTOGRAPH, 'no such thing', model=MODEL)

    def test_a_traversal_is_a_sequence_of_frames(self):
        walk = self.client.traverse(PHOTOGRAPH, self.why.moves[0].attribute, model=MODEL, frames=5)
        self.assertEqual([frame.shift for frame in walk], [0, 0.25, 0.5, 0.75, 1])
        self.assertNotEqual(walk[0].picture.tobytes(), walk[4].picture.tobytes())
        self.assertEqual(walk._repr_html_().count('<img '), 5)
        out = io.BytesIO()
        walk.save_gif(out)
        self.assertEqual(PIL.Image.open(out).n_frames, 8)

    def test_an_encoding_is_drawn_again(self):
        encoding = self.client.encode(PHOTOGRAPH, model=MODEL)
        of_image = self.client.reconstruct(PHOTOGRAPH, model=MODEL)
        of_styles = self.client.reconstruct(encoding)
        self.assertEqual(of_image.picture.tobytes(), of_styles.picture.tobytes())
        self.assertTrue(of_image.quality.same_class)
        self.assertIsNone(of_styles.quality)
        moved = self.client.reconstruct(encoding, edits=[(self.why.moves[0].attribute, 1)])
        self.assertNotEqual(moved.picture.tobytes(), of_styles.picture.tobytes())
        self.assertEqual(moved._repr_html_().count('<img '), 1)

    def test_attributes_of_the_index_and_of_images(self):
        stored = self.client.attributes('yes', model=MODEL, max_attributes=2)
        self.assertEqual(stored, list(self.client.model(MODEL).attributes['yes'][:2]))
        self.assertGreater(stored[0].mean_effect, 0)
        searched = self.client.attributes('yes', model=MODEL, images=[PHOTOGRAPH], max_attributes=3)
        self.assertTrue(1 <= len(searched) <= 3)

    def test_errors_of_the_server_name_what_is_wrong(self):
        with self.assertRaisesRegex(stylex.NotFound, 'horses'):
            self.client.classify(PHOTOGRAPH, model='horses')
        with self.assertRaisesRegex(stylex.InvalidRequest, 'image'):
            self.client.classify(b'no picture', model=MODEL)
        with self.assertRaisesRegex(stylex.InvalidRequest, 'horse') as caught:
            self.client.explain(PHOTOGRAPH, 'horse', model=MODEL)
        self.assertIn('INVALID_ARGUMENT', str(caught.exception.code))
        with self.assertRaisesRegex(stylex.StylexError, 'model'):
            self.client.classify(PHOTOGRAPH)

    def test_wrong_arguments_are_refused_here(self):
        with self.assertRaisesRegex(FileNotFoundError, 'nothing.png: is no file'):
            self.client.classify('nothing.png')
        with self.assertRaisesRegex(ValueError, r'float64 \[3, 3\]; uint8 \[H, W\]'):
            self.client.classify(numpy.zeros((3, 3)))
        with self.assertRaisesRegex(TypeError, 'image: a int; a path'):
            self.client.classify(3)
        with self.assertRaisesRegex(ValueError, 'probability: 2; 0 to 1'):
            self.client.explain(PHOTOGRAPH, probability=2)
        with self.assertRaisesRegex(TypeError, 'target: 1.5 is a float'):
            self.client.explain(PHOTOGRAPH, 1.5)
        with self.assertRaisesRegex(ValueError, 'frames: 1; at least 2'):
            self.client.traverse(PHOTOGRAPH, '0:max', frames=1)

    def test_several_threads_may_ask_at_once(self):
        expected = self.client.classify(PHOTOGRAPH, model=MODEL).logits
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.client.classify(PHOTOGRAPH, model=MODEL)))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), 8)
        # Images of several calls are computed together, and rounded by how many they are.
        self.assertTrue(all(numpy.allclose(answer.logits, expected, atol=1e-4) for answer in answers))

    def test_a_deadline_is_told(self):
        with stylex.Client(self.server.address, timeout=0.001) as client:
            with self.assertRaisesRegex(stylex.DeadlineExceeded, 'greater timeout'):
                client.explain(PHOTOGRAPH, model=MODEL)


class ConnectionTest(unittest.TestCase):
    def test_where_nobody_listens(self):
        with stylex.Client('127.0.0.1:1', timeout=5) as client:
            with self.assertRaisesRegex(stylex.StylexError, '127.0.0.1:1: no'):
                client.models()

    def test_options_that_contradict_each_other(self):
        with self.assertRaisesRegex(ValueError, 'token and token_file'):
            stylex.Client(token='a', token_file='b')
        with self.assertRaisesRegex(ValueError, 'tls_certificate and tls_key'):
            stylex.Client(tls_certificate='a')
        with self.assertRaisesRegex(FileNotFoundError, 'tls_ca: nothing.pem is no file'):
            stylex.Client(tls_ca='nothing.pem')
        with self.assertRaisesRegex(ValueError, 'timeout: 0'):
            stylex.Client(timeout=0)

    def test_a_token_over_tls(self):
        if not shutil.which('openssl'):
            self.skipTest('openssl is not installed')
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            certificate, key, tokens = folder / 'cert.pem', folder / 'key.pem', folder / 'tokens'
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate,
                            '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
                           check=True, capture_output=True)
            tokens.write_text('# of the notebook\nsesame\n')
            with checkout.Server(BINARY, '--tls-certificate', str(certificate), '--tls-key', str(key),
                                 '--token-file', str(tokens), '--health-port', '0') as server:
                for how in ({'token': 'sesame'}, {'token_file': tokens}):
                    with stylex.Client(server.address, tls_ca=certificate, **how) as client:
                        self.assertTrue(client.models())
                with stylex.Client(server.address, tls_ca=certificate) as client:
                    with self.assertRaisesRegex(stylex.NotPermitted, 'token'):
                        client.models()
                with stylex.Client(server.address, timeout=5) as client:
                    self.assertRaises(stylex.StylexError, client.models)
            tokens.write_text('# nothing\n')
            with self.assertRaisesRegex(ValueError, 'holds no token'):
                stylex.Client(token_file=tokens)


class WordsTest(unittest.TestCase):
    def test_shares_are_never_rounded_to_nothing_or_all(self):
        from stylex.answers import percent
        self.assertEqual([percent(share) for share in (0, 0.0004, 0.005, 0.5, 0.995, 0.9996, 1)],
                         ['0 %', 'under 0.1 %', '0.5 %', '50 %', '99.5 %', 'over 99.9 %', '100 %'])

    def test_an_attribute_is_called_by_its_best_name(self):
        plain = stylex.Attribute(98, True)
        self.assertEqual((plain.key, plain.words), ('98:max', 'attribute 98:max'))
        self.assertEqual(stylex.Attribute(3, False, description='hair darker').words, 'hair darker')
        self.assertEqual(stylex.Attribute(3, False, 'dark hair', 'hair darker').words, 'dark hair')


    def test_an_unsaid_direction_is_towards_the_maximum(self):
        self.assertEqual(client._attribute(attribute_index_pb2.Attribute(index=3)).key, '3:max')


class PicturesTest(unittest.TestCase):
    @staticmethod
    def sent(picture):
        return PIL.Image.open(io.BytesIO(pictures.bytes_of(picture)))

    def test_what_a_camera_turned_is_sent_upright(self):
        file, picture = io.BytesIO(), PIL.Image.new('RGB', (8, 4))
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(file, 'JPEG', exif=exif)
        self.assertEqual(self.sent(PIL.Image.open(file)).size, (4, 8))

    def test_what_is_transparent_is_white(self):
        clear = PIL.Image.new('RGBA', (2, 1), (255, 0, 0, 0))
        self.assertEqual(self.sent(clear).convert('RGB').getpixel((0, 0)), (255, 255, 255))

    def test_what_png_does_not_know_is_shown_and_sent(self):
        self.assertEqual(self.sent(PIL.Image.new('CMYK', (8, 8))).mode, 'RGB')

    def test_sixteen_bits_are_refused_here(self):
        with self.assertRaisesRegex(ValueError, 'of mode I;16; 8 bits'):
            pictures.bytes_of(PIL.Image.new('I;16', (2, 2)))


class ErrorsTest(unittest.TestCase):
    class Refused(grpc.RpcError):
        def __init__(self, metadata):
            self.metadata = metadata

        def code(self):
            return grpc.StatusCode.UNAVAILABLE

        def details(self):
            return 'the queue is full'

        def trailing_metadata(self):
            return self.metadata

    def test_only_where_none_answers_no_server_is_said_to_answer(self):
        for metadata, said in (((('x-request-id', 'a'),), '^the queue is full$'), (None, '^here:1: no server answers there: ')):
            with self.assertRaisesRegex(stylex.Unavailable, said), errors.told('here:1'):
                raise self.Refused(metadata)


if __name__ == '__main__':
    warnings.simplefilter('error', ResourceWarning)
    unittest.main(verbosity=2)
