"""Diagnostics: layers and their gradients, the noise of gradients, the loss around a point, the Hessian's spectrum."""

from funcgd.diagnostics.diagnose import Diagnosis, diagnose
from funcgd.diagnostics.diagnostics_metrics import diagnostics_metrics
from funcgd.diagnostics.hessian_eigenvalues import (
    HessianEigenvalues,
    hessian_eigenvalues,
    largest_stable_learning_rate,
)
from funcgd.diagnostics.landscape import Interpolation, Landscape, interpolate_loss, loss_landscape
from funcgd.diagnostics.noise_scale import GradientNoise, gradient_noise_scale
from funcgd.diagnostics.spectral_density import SpectralDensity, spectral_density

__all__ = [
    "Diagnosis",
    "GradientNoise",
    "HessianEigenvalues",
    "Interpolation",
    "Landscape",
    "SpectralDensity",
    "diagnose",
    "diagnostics_metrics",
    "gradient_noise_scale",
    "hessian_eigenvalues",
    "interpolate_loss",
    "largest_stable_learning_rate",
    "loss_landscape",
    "spectral_density",
]
