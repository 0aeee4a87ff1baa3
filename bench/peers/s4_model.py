"""Liquid-S4 in plain PyTorch: the model that torch_s4.py times. Layout (B, H, L) throughout, as in ebb.

Letters: B batch, H channels, L sequence length, N state size, M = N // 2 conjugate pairs, p liquid degree.
"""

import functools
import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

LIQUID_KINDS = ("null", "polyb", "kb", "series", "scan")
CONTRACTIONS = {None: lambda x: x, "tanh": torch.tanh, "lecun": lambda x: 1.7159 * torch.tanh(0.666 * x)}


def legs_spectrum(state):
    """HiPPO-LegS as normal plus low rank: eigenvalues w, and B and P in their basis, M entries each."""
    i = torch.arange(state, dtype=torch.float64)
    root = torch.sqrt(2 * i + 1)
    dense = torch.tril(-root[:, None] * root[None, :], -1) - torch.diag(i + 1)
    rank1 = torch.sqrt(i + 0.5)
    normal = dense + rank1[:, None] * rank1[None, :]
    w_imag, basis = torch.linalg.eigh(normal * -1j)
    basis = basis[:, : state // 2].conj().T
    w = torch.complex(normal.diagonal().mean().expand(state // 2), w_imag[: state // 2])
    return w, basis @ root.to(basis.dtype), basis @ rank1.to(basis.dtype)


def lin_spectrum(state):
    """S4D-Lin: w = -1/2 + i pi n, B = 1, P = 0."""
    n = torch.arange(state // 2, dtype=torch.float64)
    w = torch.complex(torch.full_like(n, -0.5), math.pi * n)
    return w, torch.ones_like(w), torch.zeros_like(w)


@functools.lru_cache(maxsize=None)
def bilinear_nodes(length, dtype, device):
    """z_j = 2i tan(pi j / n) below the Nyquist frequency, as its imaginary part; computed in double."""
    j = torch.arange((length + 1) // 2, dtype=torch.float64, device=device)
    return (2 * torch.tan(math.pi * j / length)).to(dtype)


def cauchy_naive(left, right, lam, y):
    """sum_m v/(z - lam) + conj(v)/(z - conj lam) with every quotient materialised: the published fallback."""
    v = left[:, None] * right[None, :]
    v, lam = torch.cat([v, v.conj()], -1), torch.cat([lam, lam.conj()], -1)
    return (v[..., None] / (1j * y - lam[..., None])).sum(-2)


def cauchy_pair(left, right, lam, y):
    """The same sums with the conjugate pairs joined: (2 z Re v - 2 Re(v conj lam)) / (z^2 - 2 z Re lam + |lam|^2).

    One (H, M, L) array of reciprocals serves all sums through real matrix products.
    """
    v = left[:, None] * right[None, :]
    squared = lam.real**2 + lam.imag**2
    reciprocal = 1 / torch.complex(squared[..., None] - y * y, -2 * lam.real[..., None] * y)
    weights = torch.stack([2 * v.real, -2 * (v * lam.conj()).real])
    kinds, rows, columns, channels, pairs = weights.shape
    weights = weights.permute(3, 0, 1, 2, 4).reshape(channels, -1, pairs)
    sums = weights @ torch.view_as_real(reciprocal).reshape(channels, pairs, -1)
    sums = torch.view_as_complex(sums.view(channels, kinds, rows, columns, y.numel(), 2)).permute(
        1, 2, 3, 0, 4
    )
    return 1j * y * sums[0] + sums[1]


CAUCHY = {"naive": cauchy_naive, "pair": cauchy_pair}


class Kernel(nn.Module):
    """Parameters of H single-input systems and their convolution kernels; mode nplr or diag, bilinear."""

    def __init__(
        self, mode, channels, state, length, directions=1, n_ssm=None, dt=(0.001, 0.1), cauchy="pair"
    ):
        super().__init__()
        self.mode, self.channels, self.length, self.cauchy = mode, channels, length, CAUCHY[cauchy]
        n_ssm = n_ssm or channels
        w, b, p = (legs_spectrum if mode == "nplr" else lin_spectrum)(state)
        pairs = w.numel()
        log_dt = torch.empty(channels).uniform_(math.log(dt[0]), math.log(dt[1]))
        c = torch.randn(directions, channels, pairs, dtype=torch.complex64)
        self.log_dt = nn.Parameter(log_dt)
        self.C = nn.Parameter(torch.view_as_real(c.conj().resolve_conj()))
        self.B = nn.Parameter(self._copies(b, n_ssm, mode == "nplr"))
        if mode == "nplr":
            self.P = nn.Parameter(self._copies(p, n_ssm, True))
        self.inv_w_real = nn.Parameter(torch.log(-w.real).float().expand(n_ssm, pairs).clone())
        self.w_imag = nn.Parameter(w.imag.float().expand(n_ssm, pairs).clone())
        self.draws = {
            "B": b.to(c.dtype).expand(n_ssm, pairs),
            "C": c,
            "w": w.to(c.dtype).expand(n_ssm, pairs),
        }
        self.draws["log_dt"] = log_dt.clone()

    @staticmethod
    def _copies(vector, n_ssm, leading_rank):
        copies = torch.view_as_real(vector.to(torch.complex64)).expand(n_ssm, -1, -1).clone()
        return copies[None] if leading_rank else copies

    def tiled(self, x):
        """Channel h uses copy h mod n_ssm."""
        x = x[0] if x.dim() == 3 else x
        return x if x.shape[0] == self.channels else x.repeat(self.channels // x.shape[0], 1)

    def system(self):
        """dt (H, 1), and w, B, C as complex numbers of all channels."""
        w = self.tiled(torch.complex(-torch.exp(self.inv_w_real), self.w_imag))
        return (
            torch.exp(self.log_dt)[:, None],
            w,
            self.tiled(torch.view_as_complex(self.B)),
            torch.view_as_complex(self.C),
        )

    def discrete(self):
        """Diagonal Abar and Bbar of the bilinear rule."""
        dt, w, b, _ = self.system()
        return (1 + dt * w / 2) / (1 - dt * w / 2), dt * b / (1 - dt * w / 2)

    def forward(self, length, ones=False):
        """Kernels (directions, H, L); with `ones` one more row, the kernel read out by e = 1."""
        return (self._nplr if self.mode == "nplr" else self._diag)(length, ones)

    def _diag(self, length, ones):
        dt, w, _, c = self.system()
        abar, bbar = self.discrete()
        if ones:
            c = torch.cat([c, torch.ones_like(c[:1])])
        steps = torch.arange(length, dtype=dt.dtype, device=dt.device)
        powers = torch.exp(torch.log(abar)[..., None] * steps)
        return 2 * torch.einsum("chm,hml->chl", c * bbar, powers).real

    def _nplr(self, length, ones):
        dt, w, b, c = self.system()
        p = self.tiled(torch.view_as_complex(self.P))
        if ones:
            c = torch.cat([c, self.truncated(torch.ones_like(c[:1]), dt, w, p)])
        n = self.length
        y = bilinear_nodes(n, dt.dtype, dt.device)
        left, right = torch.stack([b, p]), torch.cat([c, p.conj()[None]])
        r = dt * self.cauchy(left, right, w * dt, y)
        spectrum = (r[0, :-1] - r[0, -1] * r[1, :-1] / (1 + r[1, -1])) * (1 + 0.5j * y)
        if n % 2 == 0:
            nyquist = dt * (b * c).real.sum(-1, keepdim=True)
            spectrum = torch.cat([spectrum, nyquist.to(spectrum.dtype)], -1)
        return torch.fft.irfft(spectrum, n)[..., :length]

    def truncated(self, c, dt, w, p):
        """C (I - Abar^n) on the conjugate-closed space, first M entries."""
        close = lambda x: torch.cat([x, x.conj()], -1)
        identity = torch.eye(2 * w.shape[-1], dtype=w.dtype, device=w.device)
        a = torch.diag_embed(close(w)) - close(p)[..., None] * close(p).conj()[..., None, :]
        a = dt[..., None] / 2 * a
        power = torch.linalg.matrix_power(torch.linalg.solve(identity - a, identity + a), self.length)
        c = close(c)
        return (c - torch.einsum("chm,hmk->chk", c, power))[..., : w.shape[-1]]


@functools.lru_cache(maxsize=None)
def combination_indices(length, degree, device):
    """The last L of the lexicographic `degree`-subsets of the last m time indices; (degree, L)."""
    m = next((n for n in range(2, length) if math.comb(n, degree) >= length), None)
    if m is None:
        raise ValueError(f"length {length} is too short for liquid degree {degree} with allcombs")
    rows = itertools.combinations(range(length - m, length), degree)
    return torch.tensor(list(rows)[-length:], device=device).T.contiguous()


def delay(x):
    return F.pad(x[..., :-1], (1, 0))


def monomials(u, degree, allcombs):
    """The streams v_1 .. v_{p-1} of the published liquid kernels."""
    v = u
    for i in range(1, degree):
        if allcombs:
            v = functools.reduce(
                torch.mul, (u[..., row] for row in combination_indices(u.shape[-1], i + 1, u.device))
            )
        else:
            v = v * delay(v)
        yield v


def convolve(u, k):
    """Causal convolution of (B, H, L) with (H, L_k) through transforms of length L_k + L."""
    n = k.shape[-1] + u.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(u, n) * torch.fft.rfft(k, n), n)[..., : u.shape[-1]]


class S4(nn.Module):
    """Kernel, convolution, D skip, liquid term, and unless `linear`: GELU, tied dropout, GLU."""

    def __init__(
        self,
        kernel,
        liquid="null",
        degree=2,
        allcombs=True,
        contract=None,
        dropout=0.0,
        linear=False,
        skip=True,
        glu=True,
    ):
        super().__init__()
        self.kernel, self.liquid, self.degree, self.allcombs = kernel, liquid, degree, allcombs
        self.contract, self.linear = CONTRACTIONS[contract], linear
        self.bidirectional = kernel.C.shape[0] == 2
        self.D = nn.Parameter(torch.randn(1, kernel.channels)) if skip else None
        self.dropout = nn.Dropout1d(dropout) if dropout else nn.Identity()
        if not linear:
            self.output_linear = nn.Linear(kernel.channels, (2 if glu else 1) * kernel.channels)
        self.glu = glu
        self.freeze(**kernel.draws)

    def freeze(self, B, C, w, log_dt):
        """The published code's liquid constants: from the draws at construction, never trained."""
        dt, b, w = torch.exp(log_dt)[:, None], self.kernel.tiled(B), self.kernel.tiled(w)
        bbar = dt * b / (1 - dt * w / 2)
        self.register_buffer("liquid_s", 2 * bbar.real.sum(-1)[:, None], persistent=False)
        self.register_buffer("liquid_c", 2 * (C * bbar).real.sum(-1)[..., None], persistent=False)

    def kernels(self, length):
        """What the convolution needs: (H, L), (H, 2L) with both directions, or the series' two kernels (2, H, L)."""
        k = self.kernel(length, ones=self.liquid == "series")
        if self.bidirectional:
            return F.pad(k[0], (0, length)) + F.pad(k[1].flip(-1), (length, 0))
        return k if self.liquid == "series" else k[0]

    def convolution(self, u, k):
        length = u.shape[-1]
        if self.bidirectional:
            n = 2 * length
            return torch.fft.irfft(torch.fft.rfft(u, n) * torch.fft.rfft(k, n), n)[..., :length]
        return convolve(u, k)

    def polyb(self, u):
        """Pointwise and time-reversed, from the frozen constants."""
        y = 0
        for i, v in enumerate(monomials(u, self.degree, self.allcombs), 1):
            power = self.liquid_s ** (2**i - 1)
            v = self.contract(v)
            y = y + self.liquid_c[0] * power * v.flip(-1)
            if self.bidirectional:
                y = y + self.liquid_c[1] * power * v
        return y

    def kb(self, u, k):
        """Product of a full transform of n/2 + 1 taps with a real transform of length n, bin by bin."""
        n = u.shape[-1] + (u.shape[-1] if self.bidirectional else k.shape[-1])
        taps = torch.fft.fft(k[..., : n // 2 + 1], n // 2 + 1)
        spectrum = 0
        for i, v in enumerate(monomials(u, self.degree, self.allcombs), 1):
            spectrum = spectrum + self.liquid_s**i * taps * torch.fft.rfft(self.contract(v).flip(-1), n)
        return torch.fft.irfft(spectrum, n)[..., : u.shape[-1]]

    def series(self, u, kernels):
        """The exact causal expansion up to degree p: y = sum_q K * v_q, v_q = u delay(K_e * v_{q-1})."""
        k, k_ones = kernels
        v, total = u, u
        for _ in range(1, self.degree):
            v = u * delay(convolve(v, k_ones))
            total = total + v
        return convolve(total, k)

    def scan(self, u):
        """x_t = (abar + bbar u_t) x_{t-1} + bbar u_t, one Python iteration a time step."""
        abar, bbar = self.kernel.discrete()
        c = torch.view_as_complex(self.kernel.C)[0]
        x = torch.zeros(u.shape[0], *abar.shape, dtype=abar.dtype, device=u.device)
        states = []
        for u_t in u.unbind(-1):
            drive = bbar * u_t[..., None]
            x = (abar + drive) * x + drive
            states.append(x)
        return 2 * torch.einsum("hm,lbhm->bhl", c, torch.stack(states)).real

    def liquid_term(self, u, k):
        return {
            "polyb": lambda: self.polyb(u),
            "kb": lambda: self.kb(u, k),
            "series": lambda: self.series(u, k),
            "scan": lambda: self.scan(u),
        }[self.liquid]()

    def mix(self, u, k):
        """Everything between the kernel and the output layer."""
        if self.liquid in ("series", "scan"):
            y = self.liquid_term(u, k)
        else:
            y = self.convolution(u, k)
            if self.liquid != "null":
                y = y + self.liquid_term(u, k)
        if self.D is not None:
            y = y + self.D[0, :, None] * u
        return y if self.linear else self.dropout(F.gelu(y))

    def forward(self, u, mask=None):
        if mask is not None:
            u = u * mask
        y = self.mix(u, None if self.liquid == "scan" else self.kernels(u.shape[-1]))
        if self.linear:
            return y
        weight, bias = self.output_linear.weight, self.output_linear.bias
        y = torch.baddbmm(
            bias[:, None], weight.expand(len(y), -1, -1), y
        )  # the fastest of four ways on the CPU
        return F.glu(y, 1) if self.glu else y


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, H, L)."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


NORMS = {"batch": nn.BatchNorm1d, "layer": ChannelNorm}


class Block(nn.Module):
    def __init__(self, layer, norm, prenorm, dropout):
        super().__init__()
        self.layer, self.prenorm = layer, prenorm
        self.norm = NORMS[norm](layer.kernel.channels)
        self.dropout = nn.Dropout1d(dropout) if dropout else nn.Identity()

    def forward(self, x, mask=None):
        if self.prenorm:
            return x + self.dropout(self.layer(self.norm(x), mask))
        return self.norm(x + self.dropout(self.layer(x, mask)))


class PairHead(nn.Module):
    """The published retrieval decoder over the pooled features of 2 B documents."""

    def __init__(self, channels, classes):
        super().__init__()
        self.classifier = nn.Sequential(
            nn.Linear(4 * channels, channels), nn.GELU(), nn.Linear(channels, classes)
        )

    def forward(self, x):
        first, second = x.chunk(2)
        return self.classifier(torch.cat([first, second, first - second, first * second], -1))


class Model(nn.Module):
    """Encoder, blocks, final norm when prenorm, pooling or last step, linear decoder; pairs: batch rows r and
    B + r are the documents of pair r."""

    def __init__(
        self, encoder, layers, classes, norm="batch", prenorm=True, decode="pool", dropout=0.0, pairs=False
    ):
        super().__init__()
        channels = layers[0].kernel.channels
        self.encoder = encoder
        self.layers = nn.ModuleList(Block(layer, norm, prenorm, dropout) for layer in layers)
        self.norm = NORMS[norm](channels) if prenorm else nn.Identity()
        self.decode = decode
        self.decoder = PairHead(channels, classes) if pairs else nn.Linear(channels, classes)

    def forward(self, x, lengths=None):
        x = self.encoder(x).transpose(1, 2).contiguous()
        mask = None
        if lengths is not None:
            mask = (torch.arange(x.shape[-1], device=x.device) < lengths[:, None]).to(x.dtype)[:, None]
        for block in self.layers:
            x = block(x, mask)
        x = self.norm(x)
        if self.decode == "last":
            x = x[..., -1] if lengths is None else x[torch.arange(len(x), device=x.device), :, lengths - 1]
        else:
            x = x.mean(-1) if lengths is None else (x * mask).sum(-1) / lengths[:, None]
        return self.decoder(x)

    def optimizer(self, lr, weight_decay, lr_dt=None, lr_a=None, lr_b=None, capturable=False):
        """AdamW with the system's parameters in groups of their own, without decay."""
        groups = {"": [], "log_dt": [], "B": [], "A": []}
        for name, parameter in self.named_parameters():
            leaf = name.rpartition(".kernel.")[2]
            groups[
                {"log_dt": "log_dt", "B": "B", "P": "A", "inv_w_real": "A", "w_imag": "A"}.get(leaf, "")
            ].append(parameter)
        rates = {"log_dt": lr_dt, "B": lr_b, "A": lr_a}
        return torch.optim.AdamW(
            [{"params": groups.pop(""), "weight_decay": weight_decay}]
            + [
                {"params": p, "lr": rates[g] if rates[g] is not None else lr, "weight_decay": 0.0}
                for g, p in groups.items()
            ],
            lr=lr,
            fused=True,
            capturable=capturable,
        )
