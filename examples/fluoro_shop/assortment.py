"""What the shop sells. Prices are in cents."""

from typing import NamedTuple


class Tea(NamedTuple):
    sku: str
    name: str
    price: int
    colour: str


TEAS = [
    Tea("assam", "Assam Breakfast", 850, "#8c3a1b"),
    Tea("darjeeling", "Darjeeling First Flush", 1490, "#c98a2b"),
    Tea("earl-grey", "Earl Grey", 790, "#4a5a78"),
    Tea("genmaicha", "Genmaicha", 990, "#8a9a4b"),
    Tea("jasmine", "Jasmine Pearls", 1750, "#7aa68a"),
    Tea("lapsang", "Lapsang Souchong", 1150, "#3d2f2a"),
    Tea("oolong", "Milk Oolong", 1990, "#b8a05a"),
    Tea("rooibos", "Rooibos", 650, "#b5482a"),
]
SHELF = 25  # packets of each tea when the shelf is full


def picture(tea: Tea) -> str:
    """The packet as SVG."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 150">'
        f'<rect x="15" y="20" width="90" height="120" rx="6" fill="{tea.colour}"/>'
        f'<rect x="15" y="20" width="90" height="16" rx="6" fill="#0003"/>'
        f'<rect x="25" y="62" width="70" height="34" rx="3" fill="#fffd"/>'
        f'<text x="60" y="83" font-family="serif" font-size="13" text-anchor="middle" fill="#222">{tea.sku}</text>'
        "</svg>"
    )
