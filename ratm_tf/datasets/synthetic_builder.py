"""TFDS builders of data sets that are generated rather than downloaded."""

import abc

import tensorflow_datasets as tfds

_SEQUENCES_PER_TASK = 500


class SyntheticBuilder(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """Writes the sequences of a `tf.data` pipeline to disk.

    In `download_and_prepare`, a Beam runner or Beam options spread the work over many
    workers, each with its own range of sequences; without them, this process does it,
    and Apache Beam need not be installed. Both write the same examples.

    Subclasses have `VERSION`, `_info`, `NUM_SEQUENCES` (dict of the number of sequences
    by split), `sequences` and, if these are made of something, `source`.

    Example:
    >>> import apache_beam as beam  # doctest: +SKIP
    >>> options = beam.options.pipeline_options.PipelineOptions(  # doctest: +SKIP
    ...     direct_running_mode="multi_processing", direct_num_workers=8
    ... )
    >>> config = tfds.download.DownloadConfig(beam_options=options)  # doctest: +SKIP
    >>> builder = tfds.builder("ratm_bouncing_balls")  # doctest: +SKIP
    >>> builder.download_and_prepare(download_config=config)  # doctest: +SKIP
    """

    NUM_SEQUENCES = {}
    _distributed = False

    def source(self, dl_manager):
        """Finds what sequences are made of; workers have it from here.

        Args:
            dl_manager: TFDS's `DownloadManager`.

        Returns:
            What `sequences` takes; Beam pickles it, but not the builder's attributes.
        """
        del dl_manager

    @abc.abstractmethod
    def sequences(self, split, start, num_sequences, source):
        """Some sequences of a split.

        Args:
            split: name of the split.
            start: index of the first sequence.
            num_sequences: how many.
            source: of `source`.

        Returns:
            A `tf.data.Dataset` of single examples as `_info` describes them.
        """

    def _download_and_prepare(self, dl_manager, download_config):
        beam = download_config.beam_runner or download_config.beam_options
        self._distributed = beam is not None
        super()._download_and_prepare(dl_manager, download_config)

    def _split_generators(self, dl_manager):
        source = self.source(dl_manager)
        return {
            split: self._generate_examples(split, source)
            for split in self.NUM_SEQUENCES
        }

    def _generate_examples(self, split, source):
        if not self._distributed:
            return self._examples(split, 0, self.NUM_SEQUENCES[split], source)
        beam = tfds.core.lazy_imports.apache_beam
        end = self.NUM_SEQUENCES[split]
        tasks = [
            (start, min(_SEQUENCES_PER_TASK, end - start))
            for start in range(0, end, _SEQUENCES_PER_TASK)
        ]
        return (
            beam.Create(tasks)
            | beam.Reshuffle()
            | beam.FlatMap(lambda task: self._examples(split, *task, source))
        )

    def _examples(self, split, start, num_sequences, source):
        dataset = self.sequences(split, start, num_sequences, source)
        return enumerate(dataset.as_numpy_iterator(), start)
